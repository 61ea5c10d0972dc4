"""``MemorySink``: uploads in the memory of this process. It is the shortest correct sink."""

from __future__ import annotations

import contextlib
import mmap

from ..exceptions import SinkFull
from ..files import MemoryFile
from .base import Sink, SinkWriter, UploadInfo

#: A file of at least this many bytes gets a memory mapping of its own. The system provides the
#: memory of a mapping only when bytes are written to it, in huge pages if it has them. To provide
#: small pages one by one takes longer than to copy the bytes.
MAPPED_FROM = 256 * 1024


class MemorySink(Sink):
    """Keeps files in memory until they are consumed. Use it for small files and for tests.

    A slot may hold up to ``max_entries * max_file_size`` bytes of memory for each connection.
    Uploads cannot be resumed in another process.
    """

    async def open(self, upload: UploadInfo) -> SinkWriter:
        return MemoryWriter(upload)


class MemoryWriter(SinkWriter):
    takes_views = True

    def __init__(self, upload: UploadInfo) -> None:
        self._upload = upload
        self._content = _memory(upload.size)
        self._file: MemoryFile | None = None

    async def write(self, chunk: bytes) -> None:
        end = self.offset + len(chunk)
        self._content[self.offset : end] = chunk
        self.offset = end

    async def finish(self) -> MemoryFile:
        if self._file is None:
            self._file = MemoryFile(
                self._upload.safe_client_name,
                self._content,
                content_type=self._upload.content_type,
            )
            # From now on only the file refers to the memory, so deleting the file frees it.
            self._content = bytearray()
        return self._file

    async def abort(self) -> None:
        self._content = bytearray()

    async def release(self) -> None:
        self._content = bytearray()


def _memory(size: int) -> bytearray | mmap.mmap:
    """Return ``size`` bytes of memory. Raises :class:`SinkFull` if there is no room for them."""
    try:
        if size < MAPPED_FROM:
            return bytearray(size)
        memory = mmap.mmap(-1, size, access=mmap.ACCESS_COPY)
    except (OSError, MemoryError) as exc:
        raise SinkFull(f"no {size} bytes of memory: {exc}") from exc
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # https://docs.kernel.org/admin-guide/mm/transhuge.html. A kernel without huge pages
        # refuses.
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
