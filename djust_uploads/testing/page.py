"""A page's socket without a browser: messages and events. It needs ``pip install websockets``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from http.cookies import Morsel
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Page:
    """Connects, collects what the server sends, and calls event handlers.

    ``cookies`` may be ``django.test.Client().cookies``: then the page has that client's session and
    user. ``headers`` go with the handshake, too.
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
        # A browser always says where its page is from; servers refuse who doesn't.
        origin = url.replace("ws", "http", 1).split("/")[:3]
        self.headers: dict[str, str] = {"Origin": "/".join(origin), **(headers or {})}
        if cookies:
            self.headers["Cookie"] = "; ".join(
                f"{name}={getattr(cookie, 'coded_value', cookie)}"
                for name, cookie in cookies.items()
            )
        #: What the server sent on this connection.
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
        # Uploads that go on by themselves shall not connect once more.
        async with self._reconnecting:
            self._left = True
            await self.socket.close()
            await self._reader

    # The connection

    async def connect(self) -> None:
        """Raises ``OSError`` if nobody listens, and what ``websockets`` raises if it is refused."""
        from websockets.asyncio.client import connect

        self.socket = await connect(
            self.url, additional_headers=self.headers, compression=None, max_size=None
        )
        self.messages, self.connected = [], True
        self._reader = asyncio.create_task(self._read())

    async def drop(self) -> None:
        """Lose the connection: no close frame, no FIN."""
        self.socket.transport.abort()
        await self._reader

    async def reconnect(self, timeout: float = 10.0) -> None:
        """Drop the connection and connect anew, as a page does whose socket was lost.

        Raises ``ConnectionError`` if the server can't be reached for ``timeout`` seconds, and if
        the client's block has ended.
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
                        # Nothing tells when a server listens again.
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise ConnectionError(f"{self.url} can't be reached: {error!r}") from error

    async def reconnect_once(self, lost: Any) -> None:
        """:meth:`reconnect`, unless another task did so since ``lost`` was our socket."""
        async with self._reconnecting:
            if self.socket is lost:
                await self.reconnect()

    async def closed(self, timeout: float = 10.0) -> int | None:
        """Wait until the connection ends; returns its close code, 1006 if there was no close frame:
        https://www.rfc-editor.org/rfc/rfc6455#section-7.4"""
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
        """For subclasses that keep a record."""

    # Messages

    async def send(self, message: Mapping[str, Any]) -> None:
        """A JSON message, as it is. Raises ``ConnectionError`` if the connection has ended."""
        await self.send_raw(json.dumps(message))

    async def send_raw(self, message: str | bytes) -> None:
        """A WebSocket message, text or binary, whatever is in it."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self.socket.send(message)
        except ConnectionClosed as exc:
            raise ConnectionError(f"the connection has ended: {exc}") from exc

    async def wait_for(self, timeout: float = 10.0, /, **expected: Any) -> dict[str, Any]:
        """The first message, past or to come, that has all these keys with these values.

        Raises ``TimeoutError`` after ``timeout`` seconds, with what did arrive.
        """

        def found() -> dict[str, Any] | None:
            return next(
                (m for m in self.messages if all(m.get(k) == v for k, v in expected.items())), None
            )

        return await self._until(found, timeout, str(expected))

    async def _until(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        """What ``condition()`` returns when it is true; asked after each message.

        Raises ``TimeoutError``, or ``ConnectionError`` if the connection ends before.
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
        """The upload configs, once the server has sent them."""
        await self.wait_for(type="mount")
        return self.upload_configs

    async def event(self, name: str, /, **params: Any) -> dict[str, Any]:
        """Call an event handler, and return the server's answer."""
        self._event_ref += 1
        await self.send({"type": "event", "event": name, "params": params, "ref": self._event_ref})
        return await self.wait_for(ref=self._event_ref)
