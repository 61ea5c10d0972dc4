"""``SinkFile``: the Django ``File`` that a sink returns and that the application reads."""

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
    """A stored upload, as ``entry.file``.

    It can be used wherever a Django ``File`` can, for example in ``default_storage.save()``, in an
    ``ImageField``, and with Pillow or ``zipfile``. Async handlers use :meth:`aread`,
    :meth:`achunks` and :meth:`adelete`.

    * ``name``: a name that is safe in a path.
    * ``size``: the size in bytes.
    * ``content_type``: the MIME type that the content was found to have.
    * ``metadata``: a dictionary of JSON values in which the sink describes the stored file, for
      example by its key and its ETag.

    Sinks subclass this class. A subclass must implement :meth:`open_stored` and :meth:`adelete`.
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
        """Return a new binary stream over the stored bytes, which can seek and begins at 0.

        Blocks. If the bytes are on another machine, an implementation should raise Django's
        ``SynchronousOnlyOperation`` on an event loop (``django.utils.asyncio.async_unsafe``).
        """
        raise NotImplementedError

    async def adelete(self) -> None:
        """Delete the stored bytes. If they are gone already, that is no error."""
        raise NotImplementedError

    async def akeep(self) -> None:
        """Note in the store that the application has consumed the file, and that the file stays.

        A store may have a mark by which a sweep recognises a file that nobody has consumed. This
        method removes the mark. It is called only if the sink's ``keeps_files`` is true.
        """

    def copy_to(self, storage: Storage, name: str) -> str | None:
        """Save the file in a Django storage without reading its bytes, if that is possible.

        ``name`` is the name that the file should get, as in ``storage.save()``. Returns the name
        that it got, or ``None`` if the bytes must be streamed. ``entry.save()`` calls this method
        first. Blocks.
        """
        return None

    def name_in(self, storage: Storage) -> str | None:
        """Return the name of the stored bytes in a Django storage, if they are there already.

        A ``FileField`` with that storage can refer to them. Returns ``None`` if the storage has no
        access to them, or if that is not known. Blocks.
        """
        return None

    @property
    def url(self) -> str:
        """The URL from which a browser can fetch the file.

        Raises ``ValueError`` if the sink has no URLs.
        """
        raise ValueError(f"{type(self).__name__} has no URL: save it to a storage first.")

    # Django's File reads everything through ``self.file``. The stream is opened at its first use.

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
        """Go back to the first byte, and return the file. A closed file is opened again.

        Raises ``ValueError`` for a ``mode`` other than ``"r"`` and ``"rb"``.
        """
        if mode not in (None, "r", "rb"):
            raise ValueError(f"A stored upload opens in mode 'rb'. Got: {mode!r}")
        if self.closed:
            self._opened = None
        self.file.seek(0)
        return self

    def close(self) -> None:
        """Close the stream. The next read opens a new one."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    async def aread(self, size: int = -1) -> bytes:
        """Read ``size`` bytes in a worker thread and return them.

        Without a ``size``, all remaining bytes are read. At the end of the file, ``b""`` is
        returned.
        """

        def read() -> bytes:
            # The first read opens the file, which is I/O too.
            content: bytes = self.file.read(size)
            return content

        return await sync_to_async(read, thread_sensitive=False)()

    async def achunks(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Read the file from its first byte in worker threads, and yield it in chunks.

        ``chunk_size`` is in bytes. It defaults to 64 KiB, as for Django's ``chunks()``.
        """
        await sync_to_async(self.open, thread_sensitive=False)()
        while chunk := await self.aread(chunk_size or self.DEFAULT_CHUNK_SIZE):
            yield chunk


class MemoryFile(SinkFile):
    """A file in this process's memory.

    ``content`` may be a ``bytearray`` or an ``mmap``, if nobody writes to it any more.
    """

    def __init__(self, name: str, content: bytes | bytearray | mmap, **kwargs: Any) -> None:
        self._content = content
        super().__init__(name, len(content), **kwargs)

    def open_stored(self) -> BinaryIO:
        if isinstance(self._content, mmap):
            # A BytesIO would copy the memory.
            return io.BufferedReader(_MemoryReader(self._content), self.DEFAULT_CHUNK_SIZE)
        return io.BytesIO(self._content)

    async def adelete(self) -> None:
        self.close()
        self._content = b""


class _MemoryReader(io.RawIOBase):
    """A stream over an ``mmap`` that does not copy it.

    An ``mmap`` is a stream itself, but all of its readers share one position.
    """

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
    """A file on a disk of this machine.

    It has Django's ``temporary_file_path()``, so ``FileSystemStorage.save()`` renames it instead of
    copying its bytes. ``size`` is in bytes.
    """

    def __init__(self, path: str, name: str, size: int, **kwargs: Any) -> None:
        super().__init__(name, size, **kwargs)
        self._path = path

    def temporary_file_path(self) -> str:
        """Return the path, for a storage that moves the file.

        The file is held open from now on, as Django's temporary uploads are. An ``ImageField``
        reads the size of an image after its storage has moved the file.
        """
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
