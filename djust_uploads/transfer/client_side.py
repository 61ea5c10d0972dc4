"""The client's side of a transfer: what has arrived, and how much more the client may send."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from ..exceptions import LimitExceeded, UploadError, UploadExpired
from ..flow.budget import TURN_TIMEOUT, budget
from ..resuming.parking import PARKED_SECONDS
from ..settings import upload_settings

if TYPE_CHECKING:
    from ..flow.deadline import Deadline
    from ..flow.window import Window
    from ..slots.entry import UploadEntry
    from .reports import Reports

#: Bytes of a long frame that the sink is given at once. Some sinks copy what they are given, on the
#: event loop.
PIECE = 1024 * 1024

#: Seconds between two progress messages of one upload. A client that is about to run out of its
#: limit is told the next one at once.
PROGRESS_INTERVAL = 0.1

#: Seconds for which the limit may stand still while the client is beyond it. Then the upload fails.
OVERSTEPPING_TIMEOUT = 10.0

#: Seconds between two messages to a client that is kept waiting. They show whether the client is
#: still there.
LIFE_SIGN_INTERVAL = 1.0


class ClientSide:
    """Holds the chunks that have arrived and that the sink has not taken yet.

    The connection calls :meth:`feed`, which never waits. The transfer's task waits for chunks with
    :meth:`wait` and takes them with :meth:`pop`. The window bounds what lies between the two.
    """

    def __init__(
        self, entry: UploadEntry, window: Window, reports: Reports, deadline: Deadline
    ) -> None:
        self.window = window
        #: The error that ends the transfer, as soon as somebody has asked for its end.
        self.stopped: UploadError | None = None
        self._entry = entry
        self._reports = reports
        self._deadline = deadline
        #: The chunks of each frame that has arrived, but for those that were taken out of it.
        self._frames: deque[bytes | memoryview] = deque()
        #: Bytes that the sink has taken of a frame whose last bytes it has not taken yet. They are
        #: in memory as long as the frame is.
        self._taken_of_frame, self._in_frame = 0, False
        self._closed = False
        self._abandoned = False
        #: Set when the task has something new to look at.
        self._fed = asyncio.Event()
        #: Set when the connection may read on, or has something new to look at.
        self._drained = asyncio.Event()
        #: Set when the bytes that have arrived are saved, as far as that is possible, or when
        #: another connection has the upload.
        self._settled = asyncio.Event()

    # The connection calls these.

    def feed(self, index: int, data: bytes | memoryview) -> None:
        """Take the chunks of a frame, and never wait.

        A frame that is out of order, too long or beyond the declared size ends the transfer. Frames
        that arrive after that are dropped.
        """
        if self.stopped:
            return
        try:
            repeated = self._entry.accept_chunk(index, len(data))
        except UploadError as error:
            self.stop(error)
            return
        self._take(data[repeated:] if repeated else data)

    def append(self, data: bytes | memoryview) -> None:
        """Take the next bytes of a client that counts bytes instead of chunks, and never wait.

        Bytes beyond the declared size end the transfer. What arrives after that is dropped.
        """
        if self.stopped:
            return
        try:
            self._entry.accept_bytes(len(data))
        except UploadError as error:
            self.stop(error)
            return
        self._take(data)

    def _take(self, data: bytes | memoryview) -> None:
        self._frames.append(data)
        self.window.feed(len(data), self._entry.received)
        self._fed.set()

    def feed_end(self) -> None:
        """Note that the client has sent everything. If bytes are missing, the transfer ends."""
        try:
            self._entry.accept_complete()
        except UploadError as error:
            self.stop(error)
        self._fed.set()

    @property
    def overstepped(self) -> bool:
        """Whether the client has sent more than its limit allowed."""
        return self._entry.received > self.window.limit

    async def room(self, *, slows: bool = True) -> None:
        """Wait until the next frame of a client that has :attr:`overstepped` may be read.

        A client that ignores its limit can only be slowed down by not reading its socket. ``slows``
        says whether the server stops reading the socket when we do.
        """
        if slows:
            await self._slow_down()
        elif budget.overrun:
            self.stop(LimitExceeded("more is buffered than MAX_BUFFERED_BYTES"))

    async def _slow_down(self) -> None:
        limit, stood_still, recipient = self.window.limit, 0.0, self._reports.recipient
        while self.overstepped and not (self.stopped or self._closed):
            if self._reports.recipient is not recipient:
                # The client has resumed the upload over another connection.
                return
            self._drained.clear()
            if await _is_set_within(LIFE_SIGN_INTERVAL, self._drained) or self.stopped:
                continue
            stood_still = stood_still + LIFE_SIGN_INTERVAL if limit == self.window.limit else 0.0
            limit = self.window.limit
            if stood_still >= OVERSTEPPING_TIMEOUT:
                self.stop(LimitExceeded(f"at {limit} for {OVERSTEPPING_TIMEOUT} s"))
            else:
                # A message is the only way to find out whether the client has gone: its end is not
                # noticed while its socket is not read.
                await self._reports.progress()

    async def drained(self) -> None:
        """Return when the client no longer oversteps its limit, or another connection has it.

        Meanwhile nobody reads the client's socket, so TCP slows the client down. Unlike
        :meth:`room`, this waits for as long as the sink takes: an HTTP client knows no limit.
        """
        recipient = self._reports.recipient
        while self.overstepped and not (self.stopped or self._closed):
            if self._reports.recipient is not recipient:
                return
            self._drained.clear()
            await self._drained.wait()

    def stop(self, error: UploadError) -> None:
        """Ask the transfer's task to end with ``error``. The first error counts."""
        if self.stopped is None:
            self.stopped = error
        self.wake()

    def wake(self) -> None:
        """Let the task and the connection look again at what has changed."""
        self._fed.set()
        self._drained.set()

    # The transfer calls these when the upload loses or changes its connection.

    def connection_changed(self) -> None:
        """Note that the upload has another connection, or none."""
        # How long the task waits for the client depends on whether there is one.
        self.wake()
        if self._reports.attached:
            self._settled.set()
        else:
            self._settled.clear()

    def abandon(self) -> None:
        """Stop waiting for a connection, unless there is one."""
        self._abandoned = True
        self._fed.set()

    async def wait_settled(self) -> None:
        """Wait until the bytes that have arrived are saved for another process.

        Returns as well if no more of them can be saved, or if another connection takes the upload.
        """
        await self._settled.wait()

    # The transfer's task calls these.

    async def head(self, size: int) -> bytes:
        """Wait for the first ``size`` bytes and return them. They stay in the buffer."""
        entry = self._entry
        while entry.received < size or (not size and not entry.all_received):
            await self.wait()
        head = bytearray()
        for frame in self._frames:
            if len(head) >= size:
                break
            head += frame[:size]
        return bytes(head[:size])

    def __bool__(self) -> bool:
        """Whether there are bytes."""
        return bool(self._frames)

    def pop(self) -> bytes | memoryview:
        """Return the next bytes and remove them from the buffer: a frame, or part of a long one."""
        frame, most = self._frames.popleft(), max(PIECE, self._entry.chunk_size)
        self._in_frame = len(frame) > most
        if not self._in_frame:
            return frame
        view = memoryview(frame)
        self._frames.appendleft(view[most:])
        return view[:most]

    async def wait(self) -> None:
        """Wait until the client has sent something, or something else has changed.

        Raises the error that :meth:`stop` was given, :class:`UploadExpired` if nothing comes for
        ``IDLE_TIMEOUT``, and :class:`Abandoned` if nobody resumes an upload without a connection.
        """
        attached, window = self._reports.attached, self.window
        if not attached:
            self._settled.set()
        if self._abandoned and not attached:
            raise Abandoned("its owner has too many of them")
        self._abandoned = False
        in_line = attached and window.waits
        settings = upload_settings()
        parked = min(PARKED_SECONDS, settings.resume_ttl)
        patience = settings.idle_timeout + self._reports.recipient.patience
        seconds = patience if attached else parked
        if not self.stopped:
            try:
                with self._deadline.within(TURN_TIMEOUT if in_line else seconds):
                    await self._fed.wait()
            except TimeoutError:
                # If a client has come at the same moment, it was told that the upload goes on.
                if not self._fed.is_set():
                    if not attached:
                        raise Abandoned(f"nobody came back for {seconds} s") from None
                    if not in_line:
                        raise UploadExpired(f"nothing came for {seconds} s") from None
                    window.insist()
            self._fed.clear()
        self.raise_stopped()
        if window.limit > window.told_limit and window.must_tell(self._entry.received):
            await self._reports.progress()

    def raise_stopped(self) -> None:
        """Raise the error that :meth:`stop` was given, if it was called."""
        if self.stopped:
            raise self.stopped

    def took(self, size: int) -> bool:
        """Note that the sink has taken ``size`` bytes. Return whether to tell the client now."""
        entry, window = self._entry, self.window
        self._taken_of_frame += size
        # What is left in the buffer of a frame keeps all of it in memory.
        if not self._in_frame:
            window.take(self._taken_of_frame, entry.taken)
            self._taken_of_frame = 0
        if entry.received <= window.limit:
            self._drained.set()
        due = window.told_at + PROGRESS_INTERVAL
        return window.must_tell(entry.received) or time.monotonic() >= due

    def window_moved(self) -> None:
        """Note that the window's turn has come, so that its limit has moved.

        A client that waits for its turn must be told. A client that has overstepped its limit may
        have room now.
        """
        self._drained.set()
        if self._reports.attached:
            self._fed.set()

    def close(self) -> None:
        """Drop what is buffered and give its room back. May be called again."""
        self._closed = True
        self._frames.clear()
        self.window.close()
        self._drained.set()
        self._settled.set()


class Abandoned(Exception):
    """Nobody has resumed an upload that lost its connection."""


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
