"""One connection without a socket: a manager, driven as a consumer drives it."""

from __future__ import annotations

import uuid
from typing import Any

from djust_uploads import UploadEntry, UploadSlot
from djust_uploads.uploads.manager import UploadManager
from djust_uploads.wire import Frame, FrameType, serialize
from tests.support.servers import wait_until


def announced(count: int) -> list[dict[str, Any]]:
    """What a list says of so many files of five bytes, which are called by their numbers."""
    return [
        {
            "upload_name": "files",
            "ref": f"00112233-4455-6677-8899-aabbccddee0{number}",
            "client_name": str(number),
            "client_size": 5,
        }
        for number in range(count)
    ]


class Connection:
    """``sent`` is what the page was told. ``reads_ahead``: whether the server is one that can't
    slow its clients down."""

    def __init__(
        self, *, owner: str | None = None, reads_ahead: bool = False, **options: Any
    ) -> None:
        self.reads_ahead = reads_ahead
        self.sent: list[Any] = []
        self.manager = UploadManager()
        self.manager.connection.owner = owner
        self.slot = UploadSlot("files", **{"max_entries": 5, "max_file_size": 10**9, **options})
        self.manager.configure(self.slot)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.manager.aclose()

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def register(self, size: int, name: str = "data.bin") -> str:
        ref = str(uuid.uuid4())
        message = {"upload_name": "files", "ref": ref, "client_name": name, "client_size": size}
        await self.manager.register({**message, "resumable": True}, self.send)
        return ref

    async def resume(self, ref: str) -> Any:
        """The answer to ``upload_resume``."""
        before = len(self.sent)
        await self.manager.resume({"ref": ref}, self.send)

        def answers() -> list[Any]:
            about = [message for message in self.sent[before:] if message.get("ref") == ref]
            return [m for m in about if m["type"] == "upload_resumed" or m.get("code")]

        assert await wait_until(answers), self.sent[before:]
        return answers()[0]

    async def go_on(self, answer: Any, data: bytes) -> Any:
        """Send the rest of ``data`` as a resumed client does; returns the ending."""
        ref, size, position = answer["ref"], answer["chunk_size"], answer["bytes_received"]
        for index, start in enumerate(range(position, len(data), size), position // size):
            await self.frame(FrameType.CHUNK, ref, index, data[start : start + size])
        await self.frame(FrameType.COMPLETE, ref)
        return await self.ended(ref)

    async def frame(
        self, frame_type: FrameType, ref: str, index: int = 0, data: bytes = b""
    ) -> None:
        frame = serialize(Frame(frame_type, ref, index, data))
        await self.manager.receive(frame, self.send, slows=not self.reads_ahead)

    async def chunks(self, ref: str, data: bytes) -> None:
        size = self.slot.chunk_size
        for index, start in enumerate(range(0, len(data), size)):
            await self.frame(FrameType.CHUNK, ref, index, data[start : start + size])

    async def ended(self, ref: str) -> Any:
        """The message that ended the upload, once nothing of it runs any more."""

        def endings() -> list[Any]:
            ends = ("complete", "error", "cancelled")
            return [m for m in self.sent if m.get("ref") == ref and m.get("status") in ends]

        if transfer := self.manager.roster.transfers.get(ref):
            await transfer.wait_ended()
        await wait_until(endings)
        [ending] = endings()
        return ending

    async def upload(self, data: bytes, name: str = "data.bin") -> Any:
        ref = await self.register(len(data), name)
        await self.chunks(ref, data)
        await self.frame(FrameType.COMPLETE, ref)
        return await self.ended(ref)

    def entries(self) -> list[UploadEntry]:
        return self.manager.entries("files")
