"""``UploadClient``: a client without a browser. It needs ``pip install websockets``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.cookies import Morsel
from typing import Any

from ..wire import Frame, FrameType, serialize
from .hostile import Hostile
from .page import Page

#: Bytes of a chunk if the server does not say how many: the default of a slot.
CHUNK_SIZE = 64 * 1024

_ANSWERS = ("upload_registered", "upload_resumed")
_ENDS = ("complete", "error", "cancelled")


class UploadFailed(Exception):
    """The server has ended an upload with an error.

    ``code`` is the error's stable code, and ``message`` the sentence for the user.
    """

    def __init__(self, message: Mapping[str, Any]) -> None:
        super().__init__(f"{message.get('code')}: {message.get('error')}")
        self.code: str | None = message.get("code")
        self.message: str | None = message.get("error")


class UploadClient(Page):
    """A page without a browser::

        async with UploadClient("ws://127.0.0.1:8000/ws/gallery/") as page:
            ref = await page.upload("photos", "cat.jpg", data, "image/jpeg")
            await page.event("save")

    The client does not send beyond its limit, unless it is told to. ``messages`` has every message
    that the server has sent on this connection. The steps of :meth:`upload` can also be called one
    by one::

            ref = await page.register("photos", "cat.jpg", len(data), resumable=True)
            await page.send_chunks(ref, data, until=100_000)
            await page.reconnect()
            await page.resume(ref)
            await page.send_chunks(ref, data)
            await page.complete(ref)

    ``page.hostile`` does what no page does. It is a
    :class:`~djust_uploads.testing.hostile.Hostile`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str | Morsel[str]] | None = None,
    ) -> None:
        super().__init__(url, headers=headers, cookies=cookies)
        self.hostile: Hostile = Hostile(self)
        #: Whether :meth:`send_chunks` sends the CRC32C of the bytes with each frame.
        self.checksums: bool = False
        self._uploads: dict[str, _Upload] = {}

    # What the server has said

    def _hear(self, message: dict[str, Any]) -> None:
        for one in message.get("uploads", ()):
            self._hear(one)
        # The ref in the answer to an event is a number.
        if isinstance(ref := message.get("ref"), str):
            self._upload(ref).hear(message)
        for ref in message.get("refs", ()):
            self._upload(ref).consumed = True

    def _upload(self, ref: str) -> _Upload:
        return self._uploads.setdefault(ref, _Upload())

    def acknowledged(self, ref: str) -> int:
        """Return the highest offset in bytes that the server has acknowledged on any connection.

        The server must not lose these bytes, whatever happens to it.
        """
        return self._upload(ref).acknowledged

    def limit(self, ref: str) -> int:
        """Return the byte position up to which the client may send."""
        return self._upload(ref).limit

    def position(self, ref: str) -> int:
        """Return the byte position at which :meth:`send_chunks` goes on."""
        return self._upload(ref).position

    def next_index(self, ref: str) -> int:
        """Return the index of the next chunk."""
        return self._upload(ref).next_index

    def size(self, ref: str) -> int:
        """Return the size of the file in bytes, as it was announced."""
        return int(self._upload(ref).file.get("client_size", 0))

    def chunk_size(self, ref: str) -> int:
        """Return how many bytes the server wants in a chunk."""
        return self._upload(ref).chunk_size

    def max_frame_size(self, ref: str) -> int:
        """Return how many bytes of the file one frame may carry."""
        return self._upload(ref).max_frame_size

    def consumed(self, ref: str) -> bool:
        """Return whether the server has said that the application has consumed the file."""
        return self._upload(ref).consumed

    def endings(self, ref: str) -> list[dict[str, Any]]:
        """Return the messages on this connection that ended an upload.

        A correct server sends only one.
        """
        return [m for m in self.messages if m.get("ref") == ref and m.get("status") in _ENDS]

    # Uploads

    async def register(
        self,
        upload_name: str,
        name: str,
        size: int,
        content_type: str = "",
        *,
        ref: str = "",
        resumable: bool = False,
    ) -> str:
        """Register a file of ``size`` bytes, wait for the answer, and return the ref.

        Raises :class:`UploadFailed` if the server refuses the file, and ``TimeoutError`` if it does
        not answer within 10 seconds.
        """
        ref = ref or str(uuid.uuid4())
        self._upload(ref).answer = None
        await self.announce(upload_name, name, size, content_type, ref=ref, resumable=resumable)
        await self._answer(ref)
        return ref

    async def announce(
        self,
        upload_name: str,
        name: str,
        size: int,
        content_type: str = "",
        *,
        ref: str,
        resumable: bool = False,
        **keys: Any,
    ) -> None:
        """Send the message that registers a file, and do not wait for the answer.

        ``keys`` are added to the message.
        """
        file = {"upload_name": upload_name, "client_name": name, "client_size": size}
        self._upload(ref).file = file
        message = {"type": "upload_register", "ref": ref, "client_type": content_type, **file}
        if resumable:
            message["resumable"] = True
        await self.send(message | keys)

    async def resume(
        self, ref: str, *, upload_name: str = "", name: str = "", size: int | None = None
    ) -> dict[str, Any]:
        """Ask the server to go on with an upload, and return its answer.

        Another client may have begun the upload. The arguments describe the file. They default to
        what :meth:`register` was given. The answer has one of these values in ``status``:

        * ``"resumed"``: :meth:`send_chunks` goes on at the byte ``bytes_received``.
        * ``"not_found"``: The file must be registered under a new ref, unless it was
          :meth:`consumed`.
        * ``"locked"``: Another connection has the upload.

        Raises :class:`UploadFailed` if the upload had failed before, and ``AssertionError`` if the
        server has lost bytes that it had :meth:`acknowledged`.
        """
        upload = self._upload(ref)
        given = {"upload_name": upload_name, "client_name": name, "client_size": size}
        file = upload.file | {key: value for key, value in given.items() if value not in ("", None)}
        acknowledged, upload.answer = upload.acknowledged, None
        upload.unanswered += 1
        await self.send({"type": "upload_resume", "ref": ref, **file})
        answer = await self._answer(ref)
        if answer["status"] == "resumed" and answer["offset"] < acknowledged:
            raise AssertionError(f"{acknowledged} bytes were acknowledged, but: {answer}")
        return answer

    async def _answer(self, ref: str) -> dict[str, Any]:
        upload = self._upload(ref)
        answer = await self._until(lambda: upload.answer, 10, f"answer for {ref}")
        if answer.get("status") == "error":
            raise UploadFailed(answer)
        return answer

    async def send_chunks(
        self,
        ref: str,
        data: bytes,
        *,
        start: int | None = None,
        until: int | None = None,
        chunk_size: int = 0,
        frame_size: int = 0,
        honour_limit: bool = True,
    ) -> None:
        """Send bytes of the file in order, and wait whenever the limit is reached.

        ``data`` is the content of the whole file. The bytes from ``start`` to ``until`` are sent.
        ``start`` defaults to :meth:`position`, and ``until`` to the end of the file. ``chunk_size``
        defaults to what the server wants. With ``frame_size``, a frame carries so many bytes, in
        whole chunks and as far as the server takes them. With ``honour_limit=False``, the limit is
        ignored.

        Returns early if the upload ends. Raises ``ConnectionError`` if the connection ends, and
        ``TimeoutError`` if the limit does not move for 60 seconds.
        """
        upload = self._upload(ref)
        if start is not None:
            upload.move_to(start)
        end = len(data) if until is None else until
        while upload.position < end:
            size = chunk_size or upload.frame_size(frame_size)
            chunk = data[upload.position : min(upload.position + size, end)]
            if honour_limit and not await self._may_send(upload, upload.position + len(chunk)):
                return
            frame_type = FrameType.CHECKED_CHUNK if self.checksums else FrameType.CHUNK
            await self.send_frame(frame_type, ref, upload.next_index, chunk)
            upload.sent(len(chunk))

    async def _may_send(self, upload: _Upload, position: int) -> bool:
        def answered() -> bool:
            return upload.limit >= position or upload.ending is not None

        if not answered():
            await self._until(answered, 60, f"limit of {position}")
        return upload.ending is None

    async def send_frame(
        self, frame_type: FrameType, ref: str, index: int = 0, data: bytes = b""
    ) -> None:
        """Send one binary frame."""
        await self.send_raw(serialize(Frame(frame_type, ref, index, data)))

    async def complete(self, ref: str) -> dict[str, Any]:
        """Say that all bytes are sent, and wait for the end as :meth:`ended` does."""
        await self.send_frame(FrameType.COMPLETE, ref)
        return await self.ended(ref)

    async def ended(self, ref: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for the end of the upload, and return the message that said so.

        Raises :class:`UploadFailed` if the upload is not complete then, and ``TimeoutError`` after
        ``timeout`` seconds.
        """
        upload = self._upload(ref)
        ending = await self._until(lambda: upload.ending, timeout, f"end of {ref}")
        if ending["status"] != "complete":
            raise UploadFailed(ending)
        return ending

    async def cancel(self, ref: str) -> None:
        """Send a frame that cancels the upload."""
        await self.send_frame(FrameType.CANCEL, ref)

    async def upload(
        self,
        upload_name: str,
        name: str,
        data: bytes,
        content_type: str = "",
        *,
        chunk_size: int = 0,
        frame_size: int = 0,
        honour_limit: bool = True,
        resumable: bool = False,
        reconnects: int = 10,
    ) -> str:
        """Upload a whole file, and return its ref.

        With ``resumable``, the client reconnects and resumes the upload if its connection is lost,
        at most ``reconnects`` times. If the server does not know the upload any more, the client
        begins again under a new ref.

        Raises :class:`UploadFailed` if the upload fails, and ``ConnectionError`` if the connection
        is lost and the upload cannot be resumed.
        """
        announce = partial(
            self.register, upload_name, name, len(data), content_type, resumable=resumable
        )
        ref, losses = str(uuid.uuid4()), 0
        while True:
            socket = self.socket
            try:
                if losses:
                    ref = await self._resume_or_register(ref, announce)
                else:
                    await announce(ref=ref)
                if not self.consumed(ref):
                    await self.send_chunks(
                        ref,
                        data,
                        chunk_size=chunk_size,
                        frame_size=frame_size,
                        honour_limit=honour_limit,
                    )
                    await self.complete(ref)
                return ref
            except ConnectionError:
                losses += 1
                if not resumable or losses > reconnects:
                    raise
                await self.reconnect_once(socket)
            except UploadFailed as failed:
                losses += 1
                if losses > reconnects or not self._overtook_itself(ref, failed):
                    raise
                # The earlier resume is still being answered. The next one comes after it.
                await asyncio.sleep(0.2)

    async def _resume_or_register(self, ref: str, announce: Callable[[], Awaitable[str]]) -> str:
        status = (await self.resume(ref))["status"]
        if status == "locked":
            raise UploadFailed({"code": status, "error": "Another connection has the upload."})
        return await announce() if status == "not_found" and not self.consumed(ref) else ref

    def _overtook_itself(self, ref: str, failed: UploadFailed) -> bool:
        """Return whether the connection that has the upload may be an earlier one of this client.

        That happens if a connection is lost before its resume is answered. Another process of the
        server may handle that resume later than the next one.
        """
        return failed.code == "locked" and self._upload(ref).unanswered > 0


@dataclass
class _Upload:
    """What the client knows of one upload. Sizes and positions are in bytes."""

    #: The keys of the registration that describe the file.
    file: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    ending: dict[str, Any] | None = None
    acknowledged: int = 0
    limit: int = 0
    chunk_size: int = CHUNK_SIZE
    max_frame_size: int = CHUNK_SIZE
    position: int = 0
    next_index: int = 0
    consumed: bool = False
    #: How many resumes were sent and not answered.
    unanswered: int = 0

    def hear(self, message: dict[str, Any]) -> None:
        status = message.get("status")
        if self.answer is None and (message.get("type") in _ANSWERS or status == "error"):
            self.answer = message
            self.unanswered = max(0, self.unanswered - 1)
        if message.get("type") == "upload_registered" or status == "resumed":
            self._begin(message)
        self.limit = max(self.limit, message.get("limit", 0))
        self.acknowledged = max(self.acknowledged, message.get("offset", 0))
        if status in _ENDS and not self.ending:
            self.ending = message

    def _begin(self, message: dict[str, Any]) -> None:
        """Take the values of a registration or a resume.

        After a resume, the limit that another process has given is no longer valid.
        """
        self.limit, self.ending = 0, None
        self.chunk_size = message.get("chunk_size") or CHUNK_SIZE
        self.max_frame_size = message.get("max_frame_size") or self.chunk_size
        self.move_to(message.get("bytes_received", 0))

    def move_to(self, position: int) -> None:
        self.position = position
        self.next_index = position // self.chunk_size

    def frame_size(self, wanted: int) -> int:
        chunks = min(wanted, self.max_frame_size, self.limit - self.position) // self.chunk_size
        return max(1, chunks) * self.chunk_size

    def sent(self, size: int) -> None:
        self.position += size
        self.next_index += max(1, -(-size // self.chunk_size))
