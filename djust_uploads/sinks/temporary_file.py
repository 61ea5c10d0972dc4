"""Uploads as files in a temporary directory: the default."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import datetime
import errno
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiofiles
import aiofiles.os
from django.conf import settings
from django.core.checks import CheckMessage, Error

from ..exceptions import SinkError, SinkFull, SinkMisconfigured
from ..files import LocalFile
from ..names import extension_of
from .base import Sink, SinkWriter, UploadInfo

#: Every file's name starts so: a sweep knows ours by it.
PREFIX = "djust-upload-"

#: Bytes to gather before a thread writes them: the hop costs more than the write of a chunk.
GATHER = 1024 * 1024

#: Buffers that one pwritev() takes, https://pubs.opengroup.org/onlinepubs/9699919799/ (limits.h).
_IOV_MAX = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16


#: Paths of this process's files. Not every server cancels its tasks before it exits (daphne fails
#: to when one of its connections is idle), and only cancelled tasks clean up.
_remaining: set[str] = set()


@atexit.register
def _remove_remaining() -> None:
    for path in _remaining:
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)


if hasattr(os, "register_at_fork"):
    # A forked process that exits must not delete its parent's files.
    os.register_at_fork(after_in_child=_remaining.clear)


class TemporaryFileSink(Sink):
    """Writes each upload to a file of its own; deletes it when it was consumed or never is.

    ``directory``: where; default ``settings.FILE_UPLOAD_TEMP_DIR``, then the system's. On the disk
    of ``MEDIA_ROOT``, saving a file to the default storage is a rename.
    ``permissions``: mode bits such as ``0o640``; default ``0o600``, as for Django's own temporary
    uploads. ``FILE_UPLOAD_PERMISSIONS`` is applied by the storage that a file is saved to.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, permissions: int | None = None
    ) -> None:
        if permissions is not None and not isinstance(permissions, int):
            raise ValueError(f"permissions must be mode bits such as 0o640. Got: {permissions!r}")
        self._directory = directory
        self._permissions = permissions

    @property
    def directory(self) -> Path:
        return Path(self._directory or settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())

    async def open(self, upload: UploadInfo) -> SinkWriter:
        # The key is unguessable, so nobody can have put a link there; O_EXCL makes sure.
        name = f"{PREFIX}{upload.key}{extension_of(upload.safe_client_name)}"
        path = str(self.directory / name)
        _remaining.add(path)
        try:
            with translated(path):
                handle = await aiofiles.open(path, "xb", buffering=0, opener=self._create)
        except SinkError:
            _remaining.discard(path)
            raise
        return TemporaryFileWriter(path, handle, upload)

    def _create(self, path: str, flags: int) -> int:
        fd = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        if self._permissions is not None:
            Path(path).chmod(self._permissions)
        return fd

    async def sweep(self, older_than: datetime.timedelta) -> int:
        return await asyncio.to_thread(
            _sweep, self.directory, time.time() - older_than.total_seconds()
        )

    def check(self) -> Sequence[CheckMessage]:
        if os.access(self.directory, os.W_OK | os.X_OK):
            return []
        return [
            Error(
                f"The upload directory {self.directory} does not exist or can't be written to.",
                hint="Create it, or set the sink's 'directory' or FILE_UPLOAD_TEMP_DIR.",
                id="djust_uploads.E005",
            )
        ]


class TemporaryFileWriter(SinkWriter):
    def __init__(
        self, path: str, handle: aiofiles.threadpool.binary.AsyncFileIO, upload: UploadInfo
    ) -> None:
        self._path = path
        self._handle = handle
        self._upload = upload
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._file: TemporaryFile | None = None
        self._writing: asyncio.Task[None] | None = None

    async def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._gathered += len(chunk)
        if self._gathered >= GATHER or len(self._chunks) >= _IOV_MAX:
            await self._flush()

    async def _flush(self) -> None:
        """Write what was gathered at ``offset``; after an error, again from there, exactly."""
        write = asyncio.to_thread(_write_at, self._handle.fileno(), self._chunks, self.offset)
        self._writing = asyncio.create_task(write)
        with translated(self._path):
            await asyncio.shield(self._writing)
        self.offset += self._gathered
        self._chunks, self._gathered = [], 0

    async def finish(self) -> TemporaryFile:
        if self._file is None:
            if self._chunks:
                await self._flush()
            with translated(self._path):
                await self._handle.close()
            self._file = TemporaryFile(
                self._path,
                self._upload.safe_client_name,
                self.offset,
                content_type=self._upload.content_type,
            )
        return self._file

    async def abort(self) -> None:
        self._chunks.clear()
        if self._writing:
            # A write that took too long goes on in its thread. Closing the descriptor under it
            # would let it write into whatever file gets the number next.
            await asyncio.wait([self._writing])
        with contextlib.suppress(OSError):
            await self._handle.close()
        with contextlib.suppress(FileNotFoundError):
            await aiofiles.os.remove(self._path)
        _remaining.discard(self._path)


class TemporaryFile(LocalFile):
    """A file that does not outlive its process."""

    async def adelete(self) -> None:
        await super().adelete()
        _remaining.discard(self._path)


def _write_and_seek(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
    """pwritev() for systems without one."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, b"".join(buffers))


_pwritev = getattr(os, "pwritev", _write_and_seek)


def _write_at(fd: int, chunks: Sequence[bytes], offset: int) -> None:
    """All of ``chunks`` at ``offset``; a disk that is nearly full may take a part of a write."""
    views = [memoryview(chunk) for chunk in chunks]
    while views:
        written = _pwritev(fd, views[:_IOV_MAX], offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


def _sweep(directory: Path, before: float) -> int:
    swept = 0
    for path in directory.glob(f"{PREFIX}*"):
        # Another sweep, or the owner, may be faster.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
                swept += 1
    return swept


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """The disk's errors as ours."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise SinkFull(f"{path}: {exc}") from exc
        if exc.errno in (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.EPERM):
            raise SinkMisconfigured(f"{path}: {exc}") from exc
        raise SinkError(f"{path}: {exc}") from exc
