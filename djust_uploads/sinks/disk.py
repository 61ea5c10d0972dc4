"""Writes bytes to a file on a disk, and translates the disk's errors. These functions block."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from ..exceptions import SinkError, SinkFull, SinkMisconfigured, SinkUnavailable

#: Bytes to write in one call. For larger writes, Linux's page cache uses pieces so large that it
#: has to search for free memory.
WRITE_SIZE = 1024 * 1024

#: Only Windows has O_BINARY, and Windows has no O_NOFOLLOW.
_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

#: The most buffers that one pwritev() takes:
#: https://pubs.opengroup.org/onlinepubs/9699919799/basedefs/limits.h.html
_IOV_MAX = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16


def create(path: os.PathLike[str]) -> None:
    """Create an empty file that only this user can read.

    Raises ``FileExistsError`` if there is anything of that name, also a link.
    """
    os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))


def open_for_writing(path: os.PathLike[str]) -> int:
    """Open a file that is there, and return its descriptor. A link is not followed."""
    return os.open(path, _FLAGS)


def _write_and_seek(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
    """Do what ``pwritev()`` does, on systems that do not have it."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, b"".join(buffers))


_pwritev = getattr(os, "pwritev", _write_and_seek)


def write_at(fd: int, chunks: Sequence[bytes | memoryview], offset: int) -> None:
    """Write all chunks at the byte ``offset``.

    A disk that is nearly full may take only a part of a write, so the rest is written again.
    """
    views = deque(memoryview(chunk) for chunk in chunks if chunk)
    while views:
        written = _pwritev(fd, _batch(views), offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.popleft())
        if written:
            views[0] = views[0][written:]


def _batch(views: Iterable[memoryview]) -> list[memoryview]:
    """Return as many of the first views as one write takes. The last one may be cut."""
    batch, size = [], 0
    for view in itertools.islice(views, _IOV_MAX):
        batch.append(view[: WRITE_SIZE - size])
        size += len(batch[-1])
        if size == WRITE_SIZE:
            break
    return batch


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise errors of the disk as a :class:`SinkError` or one of its subclasses."""
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
