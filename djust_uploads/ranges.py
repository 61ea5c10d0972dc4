"""``RangeReader``: reads a stored object as a file, by requests for ranges of its bytes."""

from __future__ import annotations

import io
from collections.abc import Callable

from django.utils.asyncio import async_unsafe

from .exceptions import SinkError

#: Bytes of a block. The first request after a seek asks for the block around the position, because
#: some formats are read backwards. A zip archive is read from its end.
BLOCK = 64 * 1024

#: The most bytes of a request while the file is read in order.
MAX_AHEAD = 4 * 1024 * 1024

#: The most times that a range is asked for. SDKs repeat a request that fails, but not a request
#: whose answer breaks off while it is read.
ATTEMPTS = 3


def seek_target(position: int, size: int, offset: int, whence: int) -> int:
    """Return the position to which ``seek(offset, whence)`` leads in a file of ``size`` bytes.

    Raises ``OSError`` if it is before 0.
    """
    base = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}[whence]
    if base + offset < 0:
        raise OSError(f"seek to {base + offset}, before the start")
    return base + offset


class RangeReader(io.BufferedIOBase):
    """A binary stream of ``size`` bytes that can seek.

    ``fetch(start, end)`` returns the bytes ``start`` to ``end`` (excluded) and blocks.

    A seek makes no request. The first read at a new position asks for the blocks around it. A read
    that goes on where the last request ended asks for twice as many bytes as that request, up to
    ``MAX_AHEAD``. On a running event loop, reading raises Django's ``SynchronousOnlyOperation``.
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
        """Read ``size`` bytes and return them.

        There are fewer only at the end of the file. If ``size`` is negative or ``None``, all
        remaining bytes are read. Raises a :class:`~djust_uploads.exceptions.SinkError` if the store
        fails.
        """
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
            # The caller has asked for so many bytes in one read. They are not kept a second time.
            self._ahead = b""
        return content

    def read1(self, size: int = -1, /) -> bytes:
        """Read and return bytes with at most one request."""
        return self.read(BLOCK if size < 0 else size)

    def close(self) -> None:
        self._ahead = b""
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _take(self, position: int, size: int) -> bytes:
        """Return those of the ``size`` bytes from ``position`` on that were read ahead."""
        start = position - self._ahead_at
        return self._ahead[start : start + size] if 0 <= start < len(self._ahead) else b""

    @async_unsafe(
        "A stored upload is read over the network, which would block this event loop. "
        "Use 'await file.aread()' or 'async for chunk in file.achunks()' (and "
        "'await file.adelete()' to delete it), or read it in a thread."
    )
    def _load(self, start: int, size: int) -> None:
        """Read ahead at least ``size`` bytes from ``start`` on, in place of the old ones."""
        if start == self._requested_to:
            self._ahead_size = min(2 * self._ahead_size, MAX_AHEAD)
            end = start + max(size, self._ahead_size)
        else:
            self._ahead_size = BLOCK
            end = -(-(start + size) // BLOCK) * BLOCK
            start -= start % BLOCK
        end = min(end, self._size)
        # The old bytes are dropped first, because both together would need twice the memory.
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
