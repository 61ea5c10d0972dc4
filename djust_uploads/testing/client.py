"""A scripted client that speaks the wire. It needs ``pip install websockets`` when it connects."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from ..frames import Frame, FrameType, serialize


class UploadFailed(Exception):
    """The server ended an upload with an error; ``code`` and ``message`` are what it said."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        super().__init__(f"{message.get('code')}: {message.get('error')}")
        self.code = message.get("code")
        self.message = message.get("error")


class UploadClient:
    """A page without a browser::

        async with UploadClient("ws://127.0.0.1:8000/ws/gallery/") as page:
            ref = await page.upload("photos", "cat.jpg", data, "image/jpeg")
            await page.event("save")

    Keeps to ``limit`` unless told otherwise. Every message that the server sent is in
    ``messages``. What a well-behaved client wouldn't do is a matter of calling the parts of
    :meth:`upload` in another order.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        # A browser always says where its page is from; servers refuse who doesn't.
        origin = url.replace("ws", "http", 1).split("/")[:3]
        self.headers = {"Origin": "/".join(origin), **(headers or {})}
        self.messages: list[dict[str, Any]] = []
        self.upload_configs: dict[str, Any] = {}
        self._arrived = asyncio.Condition()
        self._event_ref = 0

    async def __aenter__(self) -> Self:
        from websockets.asyncio.client import connect

        self.socket = await connect(
            self.url, additional_headers=self.headers, compression=None, max_size=None
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            async for text in self.socket:
                message = json.loads(text)
                if message["type"] == "mount":
                    self.upload_configs = message.get("upload_configs", {})
                async with self._arrived:
                    self.messages.append(message)
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass
        async with self._arrived:
            self._arrived.notify_all()

    # Messages

    async def send(self, message: Mapping[str, Any]) -> None:
        """A JSON message, as it is."""
        await self.socket.send(json.dumps(message))

    async def send_frame(
        self, frame_type: FrameType, ref: str, index: int = 0, data: bytes = b""
    ) -> None:
        await self.socket.send(serialize(Frame(frame_type, ref, index, data)))

    async def wait_for(self, timeout: float = 10.0, /, **expected: Any) -> dict[str, Any]:
        """The first message, past or to come, that has all these keys with these values.

        Raises ``TimeoutError`` after ``timeout`` seconds, with what did arrive.
        """

        def found() -> dict[str, Any] | None:
            return next(
                (m for m in self.messages if all(m.get(k) == v for k, v in expected.items())), None
            )

        try:
            async with asyncio.timeout(timeout), self._arrived:
                await self._arrived.wait_for(lambda: found() or self._reader.done())
        except TimeoutError:
            raise TimeoutError(f"no {expected} in {self.messages[-10:]}") from None
        message = found()
        if message is None:
            raise ConnectionError(f"closed before {expected}: {self.messages[-10:]}")
        return message

    def endings(self, ref: str) -> list[dict[str, Any]]:
        """The messages that ended an upload: a server that is right sends one."""
        ends = ("complete", "error", "cancelled")
        return [m for m in self.messages if m.get("ref") == ref and m.get("status") in ends]

    async def mounted(self) -> dict[str, Any]:
        """The upload configs, once the server has sent them."""
        await self.wait_for(type="mount")
        return self.upload_configs

    async def event(self, name: str, /, **params: Any) -> dict[str, Any]:
        """Call an event handler, and return the server's answer."""
        self._event_ref += 1
        await self.send({"type": "event", "event": name, "params": params, "ref": self._event_ref})
        return await self.wait_for(ref=self._event_ref)

    # Uploads

    async def register(
        self, upload_name: str, name: str, size: int, content_type: str = "", *, ref: str = ""
    ) -> str:
        """Announce a file and return its ref. Raises :class:`UploadFailed` if it is refused."""
        ref = ref or str(uuid.uuid4())
        await self.send(
            {
                "type": "upload_register",
                "upload_name": upload_name,
                "ref": ref,
                "client_name": name,
                "client_type": content_type,
                "client_size": size,
            }
        )
        answer = await self._answer(ref)
        if answer.get("status") == "error":
            raise UploadFailed(answer)
        return ref

    async def _answer(self, ref: str) -> dict[str, Any]:
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: self._last(ref) is not None)
        answer = self._last(ref)
        assert answer is not None
        return answer

    def _last(self, ref: str) -> dict[str, Any] | None:
        return next((m for m in reversed(self.messages) if m.get("ref") == ref), None)

    async def send_chunks(
        self,
        ref: str,
        data: bytes,
        *,
        chunk_size: int = 64 * 1024,
        start: int = 0,
        honour_limit: bool = True,
    ) -> None:
        """The bytes, in order, as far as the server lets us. Returns early if the upload ended."""
        for index, offset in enumerate(range(0, len(data), chunk_size), start):
            chunk = data[offset : offset + chunk_size]
            if honour_limit and not await self._may_send(ref, offset + len(chunk)):
                return
            await self.send_frame(FrameType.CHUNK, ref, index, chunk)

    async def _may_send(self, ref: str, position: int) -> bool:
        def limit() -> int:
            return max((m["limit"] for m in self._about(ref) if "limit" in m), default=0)

        def waiting() -> bool:
            return limit() < position and not self.endings(ref) and not self._reader.done()

        if waiting():
            async with asyncio.timeout(60), self._arrived:
                await self._arrived.wait_for(lambda: not waiting())
        return limit() >= position and not self.endings(ref)

    def _about(self, ref: str) -> Iterator[dict[str, Any]]:
        return (m for m in reversed(self.messages) if m.get("ref") == ref)

    async def complete(self, ref: str) -> dict[str, Any]:
        """Say that all is sent; raises :class:`UploadFailed` if the upload ends otherwise."""
        await self.send_frame(FrameType.COMPLETE, ref)
        return await self.ended(ref)

    async def ended(self, ref: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for the upload's end. Raises :class:`UploadFailed` unless it is complete."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: self.endings(ref) or self._reader.done())
        if not self.endings(ref):
            raise ConnectionError(f"closed before the end of {ref}")
        ending = self.endings(ref)[0]
        if ending["status"] != "complete":
            raise UploadFailed(ending)
        return ending

    async def cancel(self, ref: str) -> None:
        await self.send_frame(FrameType.CANCEL, ref)

    async def upload(
        self,
        upload_name: str,
        name: str,
        data: bytes,
        content_type: str = "",
        *,
        chunk_size: int = 64 * 1024,
        honour_limit: bool = True,
    ) -> str:
        """A whole file; returns its ref. Raises :class:`UploadFailed`."""
        ref = await self.register(upload_name, name, len(data), content_type)
        await self.send_chunks(ref, data, chunk_size=chunk_size, honour_limit=honour_limit)
        await self.complete(ref)
        return ref
