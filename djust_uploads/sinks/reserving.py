"""Reserves room on a disk before bytes are written. Writing them then takes half the time."""

from __future__ import annotations

import ctypes
import sys

from .disk import WRITE_SIZE

#: The most bytes of room to reserve on the disk at once.
RESERVE = 16 * 1024 * 1024

#: FALLOC_FL_KEEP_SIZE leaves the file's size as it is:
#: https://man7.org/linux/man-pages/man2/fallocate.2.html
_KEEP_SIZE = 0x01


class Room:
    """The room on the disk for a file that will have ``size`` bytes, and has ``offset`` now."""

    def __init__(self, size: int, offset: int) -> None:
        self._size = size
        self._end = offset

    def to_reserve(self, offset: int, length: int) -> int:
        """Return how many bytes to reserve from ``offset`` on for a write of ``length`` bytes.

        At most as many bytes are reserved as the file already has. A client that only declares a
        large size gets no room for it. Nothing is reserved for a small write, or for a write whose
        room is reserved already.
        """
        end = offset + length
        if length < WRITE_SIZE or end <= self._end:
            return 0
        self._end = max(end, min(offset + min(offset, RESERVE), self._size))
        return self._end - offset


def reserve(fd: int, offset: int, size: int) -> None:
    """Let the file system reserve ``size`` bytes from ``offset`` on, without making the file
    longer.

    This does nothing on other systems than Linux, and on file systems that cannot reserve. No error
    is raised if the disk is full. The write will raise it.
    """
    if _fallocate:
        _fallocate(fd, _KEEP_SIZE, offset, size)


# The standard library has posix_fallocate() only, which makes the file longer. Where ``off_t`` has
# 32 bits, the C function has another name, so nothing is reserved there.
_fallocate = None
if sys.platform == "linux" and ctypes.sizeof(ctypes.c_long) == 8:
    _fallocate = getattr(ctypes.CDLL(None), "fallocate", None)
    if _fallocate:
        _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
