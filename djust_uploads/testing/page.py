"""``Page``: the WebSocket of a page without a browser. It needs ``pip install websockets``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from http.cookies import Morsel
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Page:
    """Connects to a server, collects its messages, and calls event handlers.

    ``headers`` and ``cookies`` are sent with the handshake. If ``cookies`` is the attribute of a
    ``django.test.Client``, the page has that client's session and user.
    """

    #: The connection of the ``websockets`` package.
    socket: Any

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str | Morsel[str]] | None = None,
    ) -> None:
        self.url = url
        # A browser always sends the header Origin, and some servers refuse a client without it.
        origin = url.replace("ws", "http", 1).split("/")[:3]
        self.headers: dict[str, str] = {"Origin": "/".join(origin), **(headers or {})}
        if cookies:
            self.headers["Cookie"] = "; ".join(
                f"{name}={getattr(cookie, 'coded_value', cookie)}"
                for name, cookie in cookies.items()
            )
        #: The messages that the server has sent on this connection.
        self.messages: list[dict[str, Any]] = []
        self.upload_configs: dict[str, Any] = {}
        self.connected: bool = False
        self._left = False
        self._arrived = asyncio.Condition()
        self._event_ref = 0
        self._reconnecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._left = False
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An upload that another task resumes must not connect again.
        async with self._reconnecting:
            self._left = True
            await self.socket.close()
            await self._reader

    # The connection

    async def connect(self) -> None:
        """Connect to the server.

        Raises ``OSError`` if no server listens, and what ``websockets`` raises if the server
        refuses the connection.
        """
        from websockets.asyncio.client import connect

        self.socket = await connect(
            self.url, additional_headers=self.headers, compression=None, max_size=None
        )
        self.messages, self.connected = [], True
        self._reader = asyncio.create_task(self._read())

    async def drop(self) -> None:
        """Break the connection, without a close frame and without a FIN."""
        self.socket.transport.abort()
        await self._reader

    async def reconnect(self, timeout: float = 10.0) -> None:
        """Break the connection and connect again, as a page does when its socket is lost.

        Raises ``ConnectionError`` if the server cannot be reached within ``timeout`` seconds, or if
        the ``async with`` block of the page has ended.
        """
        from websockets.exceptions import WebSocketException

        if self._left:
            raise ConnectionError("the page was left")
        await self.drop()
        error: Exception | None = None
        try:
            async with asyncio.timeout(timeout):
                while not self.connected:
                    try:
                        await self.connect()
                    except (OSError, EOFError, WebSocketException) as exc:
                        error = exc
                        # Only another attempt shows whether the server listens again.
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise ConnectionError(f"{self.url} can't be reached: {error!r}") from error

    async def reconnect_once(self, lost: Any) -> None:
        """Reconnect, unless another task has done so since the socket ``lost`` was lost."""
        async with self._reconnecting:
            if self.socket is lost:
                await self.reconnect()

    async def closed(self, timeout: float = 10.0) -> int | None:
        """Wait until the connection ends, and return its close code.

        The code is 1006 if there was no close frame (RFC 6455, section 7.4). Raises
        ``TimeoutError`` after ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            await asyncio.wait([self._reader])
        code: int | None = self.socket.close_code
        return code

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            async for text in self.socket:
                await self._receive(json.loads(text))
        except ConnectionClosed:
            pass
        async with self._arrived:
            self.connected = False
            self._arrived.notify_all()

    async def _receive(self, message: dict[str, Any]) -> None:
        if message["type"] == "mount":
            self.upload_configs = message.get("upload_configs", {})
        async with self._arrived:
            self.messages.append(message)
            self._hear(message)
            self._arrived.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        """Note a message. Subclasses override this."""

    # Messages

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a JSON message. Raises ``ConnectionError`` if the connection has ended."""
        await self.send_raw(json.dumps(message))

    async def send_raw(self, message: str | bytes) -> None:
        """Send a WebSocket message, text or binary, with any content.

        Raises ``ConnectionError`` if the connection has ended.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            await self.socket.send(message)
        except ConnectionClosed as exc:
            raise ConnectionError(f"the connection has ended: {exc}") from exc

    async def wait_for(self, timeout: float = 10.0, /, **expected: Any) -> dict[str, Any]:
        """Wait for a message that has all these keys with these values, and return it.

        If there was such a message before, the first one is returned. Raises ``TimeoutError`` after
        ``timeout`` seconds, and ``ConnectionError`` if the connection ends before.
        """

        def found() -> dict[str, Any] | None:
            return next(
                (m for m in self.messages if all(m.get(k) == v for k, v in expected.items())), None
            )

        return await self._until(found, timeout, str(expected))

    async def _until(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        """Call ``condition()`` after each message until its result is true, and return the result.

        ``what`` describes it for errors. Raises ``TimeoutError`` after ``timeout`` seconds, and
        ``ConnectionError`` if the connection ends before.
        """
        try:
            async with asyncio.timeout(timeout), self._arrived:
                await self._arrived.wait_for(lambda: condition() or not self.connected)
        except TimeoutError:
            raise TimeoutError(f"no {what} in {self.messages[-10:]}") from None
        result = condition()
        if not result:
            raise ConnectionError(f"closed before {what}: {self.messages[-10:]}")
        return result

    async def mounted(self) -> dict[str, Any]:
        """Wait for the mount message, and return the options of the slots in it."""
        await self.wait_for(type="mount")
        return self.upload_configs

    async def event(self, name: str, /, **params: Any) -> dict[str, Any]:
        """Call an event handler with ``params``, and return the server's answer.

        Raises ``TimeoutError`` after 10 seconds.
        """
        self._event_ref += 1
        await self.send({"type": "event", "event": name, "params": params, "ref": self._event_ref})
        return await self.wait_for(ref=self._event_ref)
