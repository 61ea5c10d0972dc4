"""Reads a stored object as a file: by ranges, with read-ahead, never whole unless asked."""

from __future__ import annotations

import io
from collections.abc import Callable

from django.utils.asyncio import async_unsafe

from .exceptions import SinkError

#: Bytes of the first request after a seek. A block around the position: a zip archive is read
#: backwards from its end.
BLOCK = 64 * 1024

#: Bytes that a request grows to while the file is read in order.
MAX_AHEAD = 4 * 1024 * 1024

#: How often to ask for a range whose bytes stopped on the way. SDKs repeat requests, but not the
#: reading of an answer.
ATTEMPTS = 3


def seek_target(position: int, size: int, offset: int, whence: int) -> int:
    """Where a seek of a file of ``size`` bytes leads. Raises ``OSError`` if that is before 0."""
    base = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}[whence]
    if base + offset < 0:
        raise OSError(f"seek to {base + offset}, before the start")
    return base + offset


class RangeReader(io.BufferedIOBase):
    """A seekable binary file of ``size`` bytes over ``fetch(start, end)``, which returns the bytes
    ``start`` to ``end`` (excluded) and blocks.

    Seeking costs nothing. The first read at a new place asks for the blocks around it; each that
    goes on where the last request ended asks for twice as much. Reading needs a thread without an
    event loop: on a running one it raises Django's ``SynchronousOnlyOperation``.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._position = 0
        self._ahead = b""
        self._ahead_at = 0
        self._ahead_size = BLOCK
        self._requested_to = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check_open()
        self._position = seek_target(self._position, self._size, offset, whence)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer only at the end; all that are left if it is negative or ``None``.
        Raises a :class:`~djust_uploads.exceptions.SinkError` when the store fails."""
        self._check_open()
        start = self._position
        left = max(0, self._size - start)
        wanted = left if size is None or size < 0 else min(size, left)
        content = self._take(start, wanted)
        if len(content) < wanted:
            at = start + len(content)
            self._load(at, wanted - len(content))
            more = self._take(at, wanted - len(content))
            content = content + more if content else more
        self._position = start + wanted
        if len(self._ahead) > MAX_AHEAD:
            # It was asked for, in one piece, and now it is the caller's.
            self._ahead = b""
        return content

    def read1(self, size: int = -1, /) -> bytes:
        """At most what one request brings."""
        return self.read(BLOCK if size < 0 else size)

    def close(self) -> None:
        self._ahead = b""
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _take(self, position: int, size: int) -> bytes:
        """As many of the ``size`` bytes from ``position`` as were read ahead."""
        start = position - self._ahead_at
        return self._ahead[start : start + size] if 0 <= start < len(self._ahead) else b""

    @async_unsafe(
        "A stored upload is read over the network, which would block this event loop. "
        "Use 'await file.aread()' or 'async for chunk in file.achunks()' (and "
        "'await file.adelete()' to delete it), or read it in a thread."
    )
    def _load(self, start: int, size: int) -> None:
        """Replace what was read ahead by at least ``size`` bytes from ``start``."""
        if start == self._requested_to:
            self._ahead_size = min(2 * self._ahead_size, MAX_AHEAD)
            end = start + max(size, self._ahead_size)
        else:
            self._ahead_size = BLOCK
            end = -(-(start + size) // BLOCK) * BLOCK
            start -= start % BLOCK
        end = min(end, self._size)
        # Let go of the old bytes first: both together would be twice the memory.
        self._ahead = b""
        content = self._fetch_again(start, end)
        if len(content) != end - start:
            raise OSError(f"{len(content)} bytes came for the range {start}-{end}")
        self._ahead, self._ahead_at, self._requested_to = content, start, end

    def _fetch_again(self, start: int, end: int) -> bytes:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._fetch(start, end)
            except SinkError as error:
                if not error.retryable:
                    raise
        return self._fetch(start, end)
