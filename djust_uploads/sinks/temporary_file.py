"""``TemporaryFileSink``: uploads as files in a temporary directory. It is the default sink."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import datetime
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiofiles.os
from django.conf import settings
from django.core.checks import CheckMessage, Error

from ..content.names import extension_of
from ..exceptions import NotResumable, SinkError
from ..files import LocalFile
from ..flow.gathering import GATHER, Gathering
from ..flow.threads import in_thread
from .base import Sink, SinkWriter, UploadInfo
from .disk import create, open_for_writing, translated, write_at
from .reserving import Room, reserve

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: The names of our files begin with this prefix, so that a sweep recognises them.
PREFIX = "djust-upload-"

#: The name of a file that was resumed contains its key, its generation, and random digits.
_GENERATION = re.compile(rf"{PREFIX}[0-9a-f]+-(\d+)-")

#: When a chunk has been gathered for this many seconds, the next chunk causes both to be written,
#: however few bytes they are. So if the process crashes, a slow upload loses only what it sent in
#: about this time.
GATHER_TIME = 1.0

#: Paths of this process's files of which no checkpoint was taken, so that no other process can go
#: on with them. They are deleted when the process exits. A task that is cancelled deletes its file
#: itself, but not every server cancels its tasks: daphne does not if a connection is idle.
_remaining: set[str] = set()


@atexit.register
def _remove_remaining() -> None:
    for path in _remaining:
        with contextlib.suppress(OSError):
            Path(path).unlink()


if hasattr(os, "register_at_fork"):
    # A forked process that exits must not delete its parent's files.
    os.register_at_fork(after_in_child=_remaining.clear)


class TemporaryFileSink(Sink):
    """Writes each upload to a file of its own, and deletes the file when it was consumed.

    Uploads can be resumed in any process that shares the directory.

    :param directory: The directory of the files. The default is ``settings.FILE_UPLOAD_TEMP_DIR``,
        or else the system's temporary directory. If it is on the disk of ``MEDIA_ROOT``, a file
        that is saved to the default storage is renamed instead of copied.
    :param permissions: The mode bits of a file, such as ``0o640``. The default is ``0o600``, as for
        Django's own temporary uploads. ``FILE_UPLOAD_PERMISSIONS`` is not used here. The storage to
        which a file is saved applies it.

    Raises ``ValueError`` if ``permissions`` is not an integer.
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
        """The directory of the files."""
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
            # The thread goes on. No writer was returned, so nobody will call its abort().
            creating.add_done_callback(lambda created: _remove_created(created, path))
            raise
        return TemporaryFileWriter(path, upload)

    async def resume(self, upload: UploadInfo, checkpoint: dict[str, Any]) -> SinkWriter:
        """Return a writer that goes on where the upload's file ends.

        An unfinished file gets another name. A process that still writes to it does not find it any
        more, and so learns that the upload was taken over. Raises :class:`NotResumable` if the file
        has fewer bytes than at the checkpoint, or is gone.
        """
        match checkpoint:
            # A checkpoint has no path, so that it cannot lead out of the directory.
            case {"key": upload.key, "offset": int(offset), "finished": bool(finished)}:
                pass
            case _:
                raise NotResumable(f"not a checkpoint of TemporaryFileSink: {checkpoint!r:.200}")
        with translated(str(self.directory)):
            path, size = await in_thread(_resumed, self.directory, upload, offset, finished)
        return TemporaryFileWriter(path, upload, size, finished=finished)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        before = time.time() - older_than.total_seconds()
        with translated(str(self.directory)):
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
    """Writes one upload to a temporary file.

    The writer opens the file for each write and closes it again. So an upload that is paused uses
    no file descriptor. A write whose waiter was cancelled goes on in its thread, and cannot use a
    descriptor that belongs to another file by then.
    """

    takes_views = True
    offset: int

    def __init__(
        self, path: Path, upload: UploadInfo, offset: int = 0, *, finished: bool = False
    ) -> None:
        self.offset = offset
        self._finished = finished
        self._path = path
        self._upload = upload
        self._gathering = Gathering(GATHER, GATHER_TIME)
        self._room = Room(upload.size, offset)
        self._file: TemporaryFile | None = None

    async def write(self, chunk: bytes) -> None:
        if self._gathering.add(chunk):
            await self.flush()

    async def flush(self) -> None:
        """Write the gathered bytes at ``offset``. After an error, the next call does so again."""
        gathered = self._gathering
        if not gathered.chunks:
            return
        room = self._room.to_reserve(self.offset, gathered.size)
        with translated(str(self._path)):
            await in_thread(_append, self._path, gathered.chunks, self.offset, room)
        self.offset += gathered.size
        gathered.take()

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
        self._gathering.take()

    async def abort(self) -> None:
        await self.release()
        with translated(str(self._path)), contextlib.suppress(FileNotFoundError):
            await aiofiles.os.remove(self._path)
        _remaining.discard(str(self._path))

    async def checkpoint(self) -> dict[str, Any]:
        _remaining.discard(str(self._path))
        return {"key": self._upload.key, "offset": self.offset, "finished": self._finished}


class TemporaryFile(LocalFile):
    """A file that is deleted when its process exits, unless a checkpoint was taken of it."""

    async def adelete(self) -> None:
        with translated(self._path):
            await super().adelete()
        _remaining.discard(self._path)


def _name_for(upload: UploadInfo, suffix: str = "") -> str:
    return f"{PREFIX}{upload.key}{suffix}{extension_of(upload.safe_client_name)}"


def _create(path: Path, permissions: int | None) -> None:
    create(path)
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
    """Return the path of the upload's file and its size in bytes.

    Raises :class:`NotResumable` if the file has fewer than ``offset`` bytes, or more than
    ``upload.size``.
    """
    while True:
        path = _found(directory, upload)
        # Another process that resumes the upload may rename the file first. Then we look for the
        # new name. _found() raises an error if that process has a higher generation than ours.
        with contextlib.suppress(FileNotFoundError):
            size = path.lstat().st_size
            if not offset <= size <= upload.size:
                raise NotResumable(f"{path} has {size} bytes, not {offset} to {upload.size}")
            # Nobody writes to a finished file any more, and somebody may be using its name.
            if not finished:
                path, size = _taken_over(path, upload)
            # A sweep counts the file's age from now on.
            os.utime(path)
            return path, size


def _found(directory: Path, upload: UploadInfo) -> Path:
    """Return the path of the upload's file, which may have been renamed.

    Raises :class:`NotResumable` if there is no such file, or if a process with a higher generation
    has taken it over.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX + upload.key) and entry.is_file(follow_symlinks=False):
                if _generation_of(entry.name) > upload.generation:
                    raise NotResumable(f"another process has renamed it to {entry.name}")
                return directory / entry.name
    raise NotResumable(f"{directory} has no {_name_for(upload)}")


def _generation_of(name: str) -> int:
    found = _GENERATION.match(name)
    return int(found[1]) if found else 0


def _taken_over(found: Path, upload: UploadInfo) -> tuple[Path, int]:
    """Rename the file, and return its new path and its size in bytes.

    A process that still writes to the file does not find it by its old name any more. If that
    process is writing at this moment, this waits until it is done.
    """
    suffix = f"-{upload.generation}-{secrets.token_hex(4)}"
    path = found.with_name(_name_for(upload, suffix))
    found.rename(path)
    with _alone(path) as fd:
        return path, os.fstat(fd).st_size


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Open the file for writing, and keep other writers out until the end of the block.

    Yields the file descriptor. Raises ``FileNotFoundError`` if the file has another name by now.
    """
    fd = open_for_writing(path)
    try:
        # Some network file systems have no locks. Windows has no flock(), but it does not rename a
        # file that is open.
        with contextlib.suppress(OSError):
            if fcntl:
                fcntl.flock(fd, fcntl.LOCK_EX)
        # The file may have been renamed after it was opened and before it was locked.
        path.lstat()
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _still_there(path: Path) -> Iterator[None]:
    """Raise a missing file as a :class:`SinkError` that says what may have happened to it."""
    try:
        yield
    except FileNotFoundError as exc:
        raise SinkError(f"{path} was swept, or taken over by another process") from exc


def _append(path: Path, chunks: Sequence[bytes | memoryview], offset: int, room: int) -> None:
    with _still_there(path), _alone(path) as fd:
        size = os.fstat(fd).st_size
        if size < offset:
            # Bytes at ``offset`` would leave a hole before them, and the file would look complete.
            raise SinkError(f"{path} has {size} bytes, and had {offset}")
        if room:
            reserve(fd, offset, room)
        write_at(fd, chunks, offset)


def _sweep(directory: Path, before: float, dry_run: bool) -> list[str]:
    swept = []
    for path in sorted(directory.glob(f"{PREFIX}*")):
        # Another sweep, or the upload itself, may have deleted the file meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime <= before:
                if not dry_run:
                    path.unlink()
                swept.append(path.name)
    return swept
