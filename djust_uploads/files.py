"""What a sink returns and applications receive: a Django ``File`` over the stored thing."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from mmap import mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from asgiref.sync import sync_to_async
from django.core.files.base import File

from .ranges import seek_target

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    _File = File[bytes]
else:
    # The class is generic for type checkers only.
    _File = File


class SinkFile(_File):
    """A stored upload. Sinks subclass it: :meth:`open_stored` and :meth:`adelete` are all it needs.

    ``name`` is safe in a path; ``size`` is in bytes; ``content_type`` is the sniffed one;
    ``metadata`` is what the sink wants to tell (a key, an ETag): plain JSON values.

    It works where a Django file does: ``default_storage.save()``, an ``ImageField``, Pillow,
    ``zipfile``. Async handlers have :meth:`aread`, :meth:`achunks` and :meth:`adelete`.
    """

    def __init__(
        self,
        name: str,
        size: int,
        *,
        content_type: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(None, name)
        self.size = size
        self.content_type: str = content_type
        self.metadata: dict[str, Any] = dict(metadata or {})
        self._opened: IO[Any] | None = None

    def open_stored(self) -> BinaryIO:
        """A new seekable binary stream over the stored bytes, at 0. Blocking."""
        raise NotImplementedError

    async def adelete(self) -> None:
        """Delete the stored bytes. Deleting twice, or what was moved away, is no error."""
        raise NotImplementedError

    async def akeep(self) -> None:
        """The application consumed the file and the sink keeps it: take away the mark, if the store
        has one, by which a sweep would know it as abandoned."""

    def copy_to(self, storage: Storage, name: str) -> str | None:
        """Save the file as ``name`` in ``storage`` by a cheaper way than a stream, as the storage's
        ``save()`` would, and return the name it got; ``None`` if there is no such way. Blocking."""
        return None

    @property
    def url(self) -> str:
        """Where a browser can fetch the file. Raises ``ValueError`` where the sink has no URLs."""
        raise ValueError(f"{type(self).__name__} has no URL: save it to a storage first.")

    # django.core.files.File reads everything through ``self.file``; it is opened at first use.

    @property
    def file(self) -> IO[Any]:
        if self._opened is None:
            self._opened = self.open_stored()
        return self._opened

    @file.setter
    def file(self, value: IO[Any] | None) -> None:
        self._opened = value

    @property
    def closed(self) -> bool:
        return self._opened is None or self._opened.closed

    def __bool__(self) -> bool:
        return True

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> SinkFile:
        """At 0 again, reopened if it was closed. Only ``"rb"`` makes sense of a stored upload."""
        if mode not in (None, "r", "rb"):
            raise ValueError(f"A stored upload opens in mode 'rb'. Got: {mode!r}")
        if self.closed:
            self._opened = None
        self.file.seek(0)
        return self

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    async def aread(self, size: int = -1) -> bytes:
        """``read()`` in a worker thread."""

        def read() -> bytes:
            # Opening is I/O too.
            content: bytes = self.file.read(size)
            return content

        return await sync_to_async(read, thread_sensitive=False)()

    async def achunks(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """``chunks()``, each read in a worker thread; the default is 64 KiB as Django's."""
        await sync_to_async(self.open, thread_sensitive=False)()
        while chunk := await self.aread(chunk_size or self.DEFAULT_CHUNK_SIZE):
            yield chunk


class MemoryFile(SinkFile):
    """The bytes themselves: ``bytes``, or memory that nobody writes to any more."""

    def __init__(self, name: str, content: bytes | bytearray | mmap, **kwargs: Any) -> None:
        self._content = content
        super().__init__(name, len(content), **kwargs)

    def open_stored(self) -> BinaryIO:
        if isinstance(self._content, mmap):
            # A BytesIO would be a copy of it.
            return io.BufferedReader(_MemoryReader(self._content), self.DEFAULT_CHUNK_SIZE)
        return io.BytesIO(self._content)

    async def adelete(self) -> None:
        self.close()
        self._content = b""


class _MemoryReader(io.RawIOBase):
    """A file over memory, which it does not copy. An ``mmap`` itself has one position for all."""

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = seek_target(self._position, len(self._memory), offset, whence)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(self._memory) as memory, memoryview(buffer).cast("B") as target:
            content = memory[self._position : self._position + len(target)]
            target[: len(content)] = content
        self._position += len(content)
        return len(content)


class LocalFile(SinkFile):
    """A file on this machine's disk.

    It has Django's ``temporary_file_path()``, so ``FileSystemStorage.save()`` renames it instead of
    copying its bytes.
    """

    def __init__(self, path: str, name: str, size: int, **kwargs: Any) -> None:
        super().__init__(name, size, **kwargs)
        self._path = path

    def temporary_file_path(self) -> str:
        """For whoever moves the file. It is held open from then on, as Django's own is: an
        ``ImageField`` measures an image after its storage has taken it."""
        with contextlib.suppress(FileNotFoundError):
            _ = self.file
        return self._path

    def open_stored(self) -> BinaryIO:
        return Path(self._path).open("rb")

    async def adelete(self) -> None:
        import aiofiles.os

        self.close()
        with contextlib.suppress(FileNotFoundError):
            await aiofiles.os.remove(self._path)
