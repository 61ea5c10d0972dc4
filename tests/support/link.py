"""A network between a client and servers: slow, far, and as unreliable as told.

::

    async with Link([server.port], delay=0.05, rate=12_500_000) as link:
        async with UploadClient(link.ws("/ws/")) as page:
            ...
            await link.cut()

It runs in the test's own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

#: Linger for no time: the socket's end is a reset instead of a farewell, socket(7).
_NO_LINGER = struct.pack("ii", 1, 0)

#: Seconds that a link which stood still may make up for: sleeping is not exact.
_BURST = 0.01

#: Reads that are on their way at most, when no rate bounds them.
_IN_FLIGHT = 256

#: When to arrive, and what: no bytes for the sender's end, ``None`` for its reset.
Passing = asyncio.Queue[tuple[float, bytes | None]]


class Link:
    """Connections to ``port`` go on to a random one of ``targets``, ports of this machine.

    ``delay``: seconds from one end to the other, so half a round trip. ``rate``: bytes a second in
    each direction, for all connections together.
    """

    def __init__(
        self, targets: Sequence[int], *, delay: float = 0.0, rate: float | None = None
    ) -> None:
        self.targets = list(targets)
        self.port = 0
        #: Connections so far, those included that were cut.
        self.connections = 0
        self._delay = delay
        self._rate = rate
        self._flowing = asyncio.Event()
        self._free_at = {"up": 0.0, "down": 0.0}
        self._resets: list[int] = []
        self._damage: int | None = None
        self._hold: int | None = None
        self._released = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self.flow()
        await self.accept()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        await self.cut()

    # What may happen to a network

    async def cut(self) -> None:
        """Reset every connection, at both ends; what is on its way is lost."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        # Some may have ended already, and only wait for their sockets to close.
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self) -> None:
        """From now on nothing passes and nothing closes: neither end learns of the other's."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything pass that was held back or stalled."""
        self._flowing.set()
        self._hold = None
        self._released.set()
        self._released = asyncio.Event()

    def refuse(self) -> None:
        """Refuse new connections until :meth:`accept`; those that are open go on."""
        if self._server:
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """Take connections, on the same port as before."""
        self._server = await asyncio.start_server(self._start, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def reset_after(self, *sizes: int) -> None:
        """Reset the connection on which the ``size``-th byte from now arrives at a server.

        With several sizes, each next one counts from the reset before it.
        """
        self._resets = list(sizes)

    def damage_after(self, size: int) -> None:
        """Change the ``size``-th byte from now that arrives at a server."""
        self._damage = size

    def hold_after(self, size: int) -> None:
        """Hold back what a client sends after the ``size``-th byte from now, until :meth:`flow`.

        Other connections go on, and so does what the server sends.
        """
        self._hold = size

    @property
    def will_reset(self) -> bool:
        """Whether a reset of :meth:`reset_after` is still to come."""
        return bool(self._resets)

    # How bytes pass

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._connect(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; a fault at one end is one at the other."""
        writers = [writer]
        try:
            target = await asyncio.open_connection("127.0.0.1", random.choice(self.targets))
            writers.append(target[1])
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass("up", reader, target[1]))
                ways.create_task(self._pass("down", target[0], writer))
            for end in writers:
                end.close()
        except* (OSError, asyncio.CancelledError):
            for end in writers:
                _reset(end)
        for end in writers:
            with contextlib.suppress(OSError):
                await end.wait_closed()

    async def _pass(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # drain() then waits until the system has it all: nothing is ahead of what it may be.
        writer.transport.set_write_buffer_limits(0)
        passing: Passing = asyncio.Queue(_IN_FLIGHT)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take(way, reader, passing))
            ends.create_task(self._deliver(way, passing, writer))

    async def _take(self, way: str, reader: asyncio.StreamReader, passing: Passing) -> None:
        data: bytes | None = b"first"
        while data:
            try:
                data = await reader.read(64 * 1024)
            except ConnectionError:
                data = None
            at = self._through(way, len(data or b""))
            await passing.put((at + self._delay, data))
            await _sleep_until(at)

    def _through(self, way: str, size: int) -> float:
        """When the last of ``size`` bytes is on the link."""
        now = asyncio.get_running_loop().time()
        if self._rate:
            self._free_at[way] = max(self._free_at[way], now - _BURST) + size / self._rate
        return max(self._free_at[way], now)

    async def _deliver(self, way: str, passing: Passing, writer: asyncio.StreamWriter) -> None:
        while True:
            at, data = await passing.get()
            await _sleep_until(at)
            await self._flowing.wait()
            if data is None:
                raise ConnectionResetError
            if not data:
                writer.write_eof()
                return
            if way == "up" and self._is_held(len(data)):
                await self._released.wait()
            if way == "up":
                data = self._damaged(data)
            last = self._is_last(len(data)) if way == "up" else None
            writer.write(data[:last])
            await writer.drain()
            if last is not None:
                raise ConnectionResetError

    def _is_held(self, size: int) -> bool:
        """Return whether the next ``size`` bytes are held back."""
        if self._hold is None:
            return False
        self._hold -= size
        if self._hold >= 0:
            return False
        self._hold = None
        return True

    def _damaged(self, data: bytes) -> bytes:
        """Return the next bytes as they arrive."""
        if self._damage is None:
            return data
        at, self._damage = self._damage, self._damage - len(data)
        if at >= len(data):
            return data
        self._damage = None
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

    def _is_last(self, size: int) -> int | None:
        """Return how many of ``size`` bytes may pass before a reset, or ``None`` if all may."""
        if not self._resets:
            return None
        if self._resets[0] > size:
            self._resets[0] -= size
            return None
        return self._resets.pop(0)


def _reset(end: asyncio.StreamWriter) -> None:
    # The end whose own peer reset it has no socket any more.
    with contextlib.suppress(OSError):
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    end.transport.abort()


async def _sleep_until(at: float) -> None:
    if (seconds := at - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(seconds)
