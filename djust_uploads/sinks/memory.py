"""Uploads as bytes in this process's memory: the shortest correct sink."""

from __future__ import annotations

from ..files import MemoryFile
from .base import Sink, SinkWriter, UploadInfo


class MemorySink(Sink):
    """Keeps files in memory until they are consumed. For small files, and for tests.

    A slot then holds up to ``max_entries * max_file_size`` bytes for every connected user.
    """

    async def open(self, upload: UploadInfo) -> SinkWriter:
        return MemoryWriter(upload)


class MemoryWriter(SinkWriter):
    takes_views = True

    def __init__(self, upload: UploadInfo) -> None:
        self._upload = upload
        self._chunks: list[bytes] = []
        self._file: MemoryFile | None = None

    async def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.offset += len(chunk)

    async def finish(self) -> MemoryFile:
        if self._file is None:
            self._file = MemoryFile(
                self._upload.safe_client_name,
                self._chunks,
                content_type=self._upload.content_type,
            )
            self._chunks = []
        return self._file

    async def abort(self) -> None:
        self._chunks.clear()

    async def release(self) -> None:
        self._chunks.clear()
