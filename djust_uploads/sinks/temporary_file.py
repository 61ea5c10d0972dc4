"""Uploads as files in a temporary directory: the default."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import datetime
import errno
import itertools
import os
import re
import secrets
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiofiles.os
from django.conf import settings
from django.core.checks import CheckMessage, Error

from ..content.names import extension_of
from ..exceptions import NotResumable, SinkError, SinkFull, SinkMisconfigured, SinkUnavailable
from ..files import LocalFile
from ..flow.budget import gather_size
from ..flow.threads import in_thread
from .base import Sink, SinkWriter, UploadInfo
from .reserving import reserve

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Every file's name starts so: a sweep knows ours by it.
PREFIX = "djust-upload-"

#: The name of one that was resumed has its key, its generation, and something random.
_GENERATION = re.compile(rf"{PREFIX}[0-9a-f]+-(\d+)-")

#: Bytes to gather before a thread writes them, less where many uploads share what sinks may gather:
#: the hop costs more than the write of a chunk.
GATHER = 4 * 1024 * 1024

#: Bytes of room to reserve on the disk at once, at most.
RESERVE = 16 * 1024 * 1024

#: Seconds after which a chunk is written with the next one, however little was gathered: of a slow
#: upload too, a crash shall take away no more than was sent in about that time.
GATHER_TIME = 1.0

#: Bytes to write at once. Linux's page cache takes more in pieces so large that it has to look for
#: memory for them.
_WRITE = 1024 * 1024

#: Buffers that one pwritev() takes, https://pubs.opengroup.org/onlinepubs/9699919799/ (limits.h).
_IOV_MAX = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16

#: O_BINARY is Windows', O_NOFOLLOW everybody else's.
_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


#: Paths of this process's files that nobody can go on with: those of which no checkpoint was taken.
#: Not every server cancels its tasks before it exits (daphne fails to when one of its connections
#: is idle), and only cancelled tasks clean up.
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
        path = self.directory / _name_for(upload)
        _remaining.add(str(path))
        creating = asyncio.create_task(in_thread(_create, path, self._permissions))
        try:
            with translated(str(path)):
                await asyncio.shield(creating)
        except SinkError:
            _remaining.discard(str(path))
            raise
        except asyncio.CancelledError:
            # The thread goes on, and nobody will abort a writer that was never returned.
            creating.add_done_callback(lambda created: _remove_created(created, path))
            raise
        return TemporaryFileWriter(path, upload)

    async def resume(self, upload: UploadInfo, checkpoint: dict[str, Any]) -> SinkWriter:
        """Go on where the file ends. It gets another name for it: whoever wrote to it before can't
        any more, and knows by that."""
        match checkpoint:
            # No path: a checkpoint must not lead out of the directory.
            case {"key": upload.key, "offset": int(offset), "finished": bool(finished)}:
                pass
            case _:
                raise NotResumable(f"not a checkpoint of TemporaryFileSink: {checkpoint!r:.200}")
        with translated(str(self.directory)):
            path, size = await in_thread(_resumed, self.directory, upload, offset, finished)
        return TemporaryFileWriter(path, upload, size, finished=finished)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        before = time.time() - older_than.total_seconds()
        return await asyncio.to_thread(_sweep, self.directory, before, dry_run)

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
    """Opens its file for each write and holds none open: a paused upload costs no descriptor, and
    a write whose waiter was cancelled can't meet a descriptor that means another file by then."""

    takes_views = True
    offset: int

    def __init__(
        self, path: Path, upload: UploadInfo, offset: int = 0, *, finished: bool = False
    ) -> None:
        self.offset = offset
        self._finished = finished
        self._path = path
        self._upload = upload
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._gathered_since = 0.0
        self._reserved = offset
        self._file: TemporaryFile | None = None

    async def write(self, chunk: bytes) -> None:
        now = time.monotonic()
        if not self._chunks:
            self._gathered_since = now
        self._gathered += len(chunk)
        self._chunks.append(chunk)
        waited = now - self._gathered_since
        if self._gathered >= gather_size(GATHER) or waited >= GATHER_TIME:
            await self.flush()

    async def flush(self) -> None:
        """Write what was gathered at ``offset``; after an error, again from there, exactly."""
        if not self._chunks:
            return
        with translated(str(self._path)):
            await in_thread(_append, self._path, self._chunks, self.offset, self._room())
        self.offset += self._gathered
        self._chunks, self._gathered = [], 0

    def _room(self) -> int:
        """Bytes to reserve on the disk from ``offset`` on: as many as the file has already, so that
        nobody has much of it by a promise; none for a small write, or for one that has its room."""
        end = self.offset + self._gathered
        if self._gathered < _WRITE or end <= self._reserved:
            return 0
        self._reserved = max(end, min(self.offset + min(self.offset, RESERVE), self._upload.size))
        return self._reserved - self.offset

    async def finish(self) -> TemporaryFile:
        if self._file is None:
            await self.flush()
            with translated(str(self._path)), _still_there(self._path):
                size = (await in_thread(self._path.lstat)).st_size
            if size != self.offset:
                raise SinkError(f"{self._path} has {size} bytes, and had {self.offset}")
            self._finished = True
            self._file = TemporaryFile(
                str(self._path),
                self._upload.safe_client_name,
                self.offset,
                content_type=self._upload.content_type,
            )
        return self._file

    async def release(self) -> None:
        self._chunks, self._gathered = [], 0

    async def abort(self) -> None:
        await self.release()
        with contextlib.suppress(FileNotFoundError):
            await aiofiles.os.remove(self._path)
        _remaining.discard(str(self._path))

    async def checkpoint(self) -> dict[str, Any]:
        _remaining.discard(str(self._path))
        return {"key": self._upload.key, "offset": self.offset, "finished": self._finished}


class TemporaryFile(LocalFile):
    """A file that does not outlive its process, unless a checkpoint leads to it."""

    async def adelete(self) -> None:
        await super().adelete()
        _remaining.discard(self._path)


def _name_for(upload: UploadInfo, suffix: str = "") -> str:
    return f"{PREFIX}{upload.key}{suffix}{extension_of(upload.safe_client_name)}"


def _create(path: Path, permissions: int | None) -> None:
    # The key is unguessable, so nobody can have put a link there; O_EXCL makes sure.
    os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))
    if permissions is not None:
        try:
            path.chmod(permissions)
        except OSError:
            path.unlink()
            raise


def _remove_created(created: asyncio.Task[None], path: Path) -> None:
    if not created.cancelled() and not created.exception():
        asyncio.get_running_loop().run_in_executor(None, path.unlink, True)


def _resumed(directory: Path, upload: UploadInfo, offset: int, finished: bool) -> tuple[Path, int]:
    """The upload's file and its size. Raises :class:`NotResumable` if it has not the bytes up to
    ``offset``, or more than it can have."""
    while True:
        path = _found(directory, upload)
        # Of two that resume it, the other one may be faster; if it has lost the upload already, it
        # is our turn then.
        with contextlib.suppress(FileNotFoundError):
            size = path.lstat().st_size
            if not offset <= size <= upload.size:
                raise NotResumable(f"{path} has {size} bytes, not {offset} to {upload.size}")
            # To what is finished nobody writes, and its name may be in use.
            if not finished:
                path, size = _taken_over(path, upload)
            # A sweep shall count from now on.
            os.utime(path)
            return path, size


def _found(directory: Path, upload: UploadInfo) -> Path:
    """The upload's file, whatever name it has by now."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX + upload.key) and entry.is_file(follow_symlinks=False):
                if _generation_of(entry.name) > upload.generation:
                    raise NotResumable(f"{entry.name} is what another process made of it")
                return directory / entry.name
    raise NotResumable(f"{directory} has no {_name_for(upload)}")


def _generation_of(name: str) -> int:
    found = _GENERATION.match(name)
    return int(found[1]) if found else 0


def _taken_over(found: Path, upload: UploadInfo) -> tuple[Path, int]:
    """The file under a new name, and its size. A process that still writes to it finds it no more
    by the old name, and what it is writing at the moment is waited for."""
    suffix = f"-{upload.generation}-{secrets.token_hex(4)}"
    path = found.with_name(_name_for(upload, suffix))
    found.rename(path)
    with _alone(path) as fd:
        return path, os.fstat(fd).st_size


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Open the file for writing; nobody else writes to it in here."""
    fd = os.open(path, _FLAGS)
    try:
        # Some network file systems have no locks. Windows has none of these, and renames no file
        # that is open.
        with contextlib.suppress(OSError):
            if fcntl:
                fcntl.flock(fd, fcntl.LOCK_EX)
        # Raises, if the file got another name since it was opened.
        path.lstat()
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _still_there(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise SinkError(f"{path} was swept, or taken over by another process") from exc


def _write_and_seek(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
    """pwritev() for systems without one."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, b"".join(buffers))


_pwritev = getattr(os, "pwritev", _write_and_seek)


def _append(path: Path, chunks: Sequence[bytes], offset: int, room: int) -> None:
    with _still_there(path), _alone(path) as fd:
        size = os.fstat(fd).st_size
        if size < offset:
            # Written there, the bytes would leave a hole, and the file would look whole.
            raise SinkError(f"{path} has {size} bytes, and had {offset}")
        if room:
            reserve(fd, offset, room)
        _write_at(fd, chunks, offset)


def _write_at(fd: int, chunks: Sequence[bytes], offset: int) -> None:
    """All of ``chunks`` at ``offset``; a disk that is nearly full may take a part of a write."""
    views = deque(memoryview(chunk) for chunk in chunks if chunk)
    while views:
        written = _pwritev(fd, _batch(views), offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.popleft())
        if written:
            views[0] = views[0][written:]


def _batch(views: Iterable[memoryview]) -> list[memoryview]:
    """The first of them, for one write."""
    batch, size = [], 0
    for view in itertools.islice(views, _IOV_MAX):
        batch.append(view[: _WRITE - size])
        size += len(batch[-1])
        if size == _WRITE:
            break
    return batch


def _sweep(directory: Path, before: float, dry_run: bool) -> list[str]:
    swept = []
    for path in sorted(directory.glob(f"{PREFIX}*")):
        # Another sweep, or the owner, may be faster.
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime <= before:
                if not dry_run:
                    path.unlink()
                swept.append(path.name)
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
        if isinstance(exc, ConnectionError | TimeoutError):
            raise SinkUnavailable(f"{path}: {exc}") from exc
        raise SinkError(f"{path}: {exc}") from exc
