"""The numbers that count the bytes of one upload.

Nothing here does I/O. A frame comes in, and a number moves or an error is raised.
"""

from __future__ import annotations

from ..exceptions import (
    ChunkOutOfOrder,
    ChunkTooLarge,
    SizeMismatch,
    TooManyChunks,
    WrongOffset,
)

#: How many chunks of a file may be as small as the client likes.
_FREE_CHUNKS = 1024

#: Bytes that the later chunks must have on average. A chunk needs memory beside its bytes, so this
#: bounds the memory to a small multiple of the declared size.
_MIN_AVERAGE_CHUNK = 256


class Arrivals:
    """Counts the bytes of one upload: those that arrive, those that the sink takes and stores.

    A client over a WebSocket numbers its chunks, and :meth:`accept_chunk` counts them. A client
    over HTTP names the byte at which it goes on, and :meth:`accept_bytes` counts what comes.
    """

    def __init__(self, client_size: int, chunk_size: int, max_frame_size: int = 0) -> None:
        self.client_size: int = client_size
        #: Bytes that are durably stored, without a gap, from 0.
        self.offset: int = 0
        #: Whether the client has said that it sent everything, and was right.
        self.all_received: bool = False
        #: Bytes that have arrived.
        self.received: int = 0
        #: Bytes that the sink has taken.
        self.taken: int = 0
        self.chunk_size = chunk_size
        #: Bytes of the file that one frame of this connection may carry, at least a chunk.
        self.max_frame_size: int = max(chunk_size, max_frame_size)
        self._next_index = 0
        #: Bytes that a resumed client sends a second time.
        self._repeated = 0
        #: The byte at which a resumed client may go on instead of the one it was told.
        self._durable_start: int | None = None
        self._resumed = False
        #: Whether the number of stored bytes is known. If another process began the upload, the
        #: number is not known before the sink has resumed the upload.
        self.restored: bool = True
        #: Bytes that other processes have received.
        self.received_before: int = 0

    def accept_chunk(self, index: int, size: int) -> int:
        """Count the ``size`` bytes of a frame that begins with chunk ``index``. Return how many of
        its first bytes arrived before.

        A frame carries one chunk, which may be short, or several whole chunks, of which only the
        last one of the file may be short. Raises a
        :class:`~djust_uploads.exceptions.ProtocolError` for a frame that cannot be next.
        """
        self._check_restored()
        if self.all_received and not self._resumed:
            raise ChunkOutOfOrder(f"chunk {index} after the end of {self!r}")
        if index != self._next_index:
            self._go_back(index)
        if size > self.max_frame_size:
            raise ChunkTooLarge(f"chunk of {size} bytes for {self!r}, over {self.max_frame_size}")
        repeated = min(self._repeated, size)
        end = self.received - self._repeated + size
        if end > self.client_size:
            raise SizeMismatch(f"{end} bytes for {self!r} of {self.client_size}")
        if size > self.chunk_size and size % self.chunk_size and end < self.client_size:
            raise ChunkTooLarge(f"{size} bytes for {self!r} are not whole chunks")
        least = min(_MIN_AVERAGE_CHUNK, self.chunk_size)
        if index > _FREE_CHUNKS and self.received < (index - _FREE_CHUNKS) * least:
            raise TooManyChunks(f"{index} chunks for {self.received} bytes of {self!r}")
        self._repeated -= repeated
        self.received += size - repeated
        self._next_index += max(1, -(-size // self.chunk_size))
        self._durable_start = None
        return repeated

    def go_on_at(self, position: int) -> None:
        """Let a client that counts bytes instead of chunks go on.

        Raises :class:`WrongOffset` if ``position`` is not the end of what has arrived.
        """
        self._check_restored()
        if position != self.received:
            raise WrongOffset(f"{self!r} goes on at byte {self.received}, not at {position}")
        self._resumed, self._repeated, self._durable_start = True, 0, None

    def accept_bytes(self, size: int) -> None:
        """Count the next ``size`` bytes of a client that counts bytes instead of chunks.

        Raises a :class:`~djust_uploads.exceptions.ProtocolError` for bytes beyond the end.
        """
        self._check_restored()
        if self.all_received:
            raise SizeMismatch(f"{size} bytes after the end of {self!r}")
        if self.received + size > self.client_size:
            raise SizeMismatch(f"{self.received + size} bytes for {self!r} of {self.client_size}")
        self.received += size

    def _check_restored(self) -> None:
        if not self.restored:
            raise ChunkOutOfOrder(f"{self!r} has not heard at which position it goes on")

    def _go_back(self, index: int) -> None:
        """Let a resumed client begin at ``offset`` instead of the position that it was told.

        Raises ``ChunkOutOfOrder`` if the chunk does not begin there.
        """
        start = self._durable_start
        if start is None or index != start // self.chunk_size:
            raise ChunkOutOfOrder(f"chunk {index} of {self!r} instead of {self._next_index}")
        self._next_index, self._repeated = index, self.received - start

    def accept_complete(self) -> None:
        """Note that the client has sent everything. Raises ``SizeMismatch`` if it has not."""
        self._check_restored()
        if self.all_received and self._resumed:
            # The client does not know whether we heard it before its connection was lost.
            return
        if self.all_received:
            raise ChunkOutOfOrder(f"a second complete for {self!r}")
        if self.received != self.client_size:
            raise SizeMismatch(f"{self.received} bytes for {self!r} of {self.client_size}")
        self.all_received = True

    def resume(self) -> int:
        """Let a client go on, and return the byte position from which on it sends.

        That is the end of the bytes that have arrived. If that end and ``offset`` are in the same
        chunk, the client begins at ``offset``. The index of the client's first chunk could
        otherwise not show at which of the two it begins.
        """
        self._resumed = True
        ahead = self.received // self.chunk_size > self.offset // self.chunk_size
        position = self.received if ahead or self.all_received else self.offset
        self._durable_start = self.offset
        self._next_index = position // self.chunk_size
        self._repeated = self.received - position
        return position

    def restore(self, offset: int, *, complete: bool) -> None:
        """Note that another process has stored ``offset`` bytes.

        ``complete`` says that it stored all of them and that the client knows it.
        """
        self.received = self.taken = self.offset = self.received_before = offset
        self.all_received = complete
        self.restored = True

    def take(self, size: int, offset: int) -> None:
        """Note that the sink has taken ``size`` more bytes, and has stored ``offset`` of all."""
        self.taken += size
        self.offset = max(self.offset, offset)
