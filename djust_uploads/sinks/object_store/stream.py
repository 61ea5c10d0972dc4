"""``Stream``: the bytes of a multipart upload, as obstore reads them."""

from __future__ import annotations

import asyncio

from ...flow.budget import budget


class Aborted(Exception):
    """Ends a multipart upload.

    When the stream raises an exception, obstore aborts the multipart upload and raises the
    exception.
    """


class Stream:
    """The asynchronous iterable from which obstore reads the pieces of a file.

    obstore sends a part whenever it has read enough pieces. While it is sending ``max_concurrency``
    parts, it reads no more pieces. At most one piece waits here.
    """

    def __init__(self) -> None:
        #: The outcome of the upload. Do not cancel this future, because obstore would drop its
        #: requests and leave the multipart upload in the store.
        self.outcome: asyncio.Future[dict[str, str | None]]
        self._piece: bytes | memoryview | None = None
        self._ending = self._aborting = False
        self._given = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()

    def watch(self, outcome: asyncio.Future[dict[str, str | None]], held: int) -> None:
        """Note the upload's outcome, and count the ``held`` bytes that obstore may hold for it."""
        self.outcome = outcome
        budget.hold(held)
        outcome.add_done_callback(lambda _: budget.release(held))
        # When the upload has ended, obstore reads no more pieces, so give() must not wait.
        outcome.add_done_callback(lambda _: self._taken.set())

    async def give(self, piece: bytes | memoryview) -> None:
        """Give obstore a piece.

        Waits until obstore has taken the piece before this one, or the upload has failed.
        """
        await self._taken.wait()
        if not self.outcome.done():
            self._piece = piece
            self._taken.clear()
            self._given.set()

    def end(self) -> None:
        """Let the upload end after the last piece."""
        self._ending = True
        self._given.set()

    def abort(self) -> None:
        """Let the upload end with :class:`Aborted`."""
        self._aborting = True
        self._given.set()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes | memoryview:
        await self._given.wait()
        if self._aborting:
            raise Aborted
        piece, self._piece = self._piece, None
        if piece is None:
            raise StopAsyncIteration
        if not self._ending:
            self._given.clear()
        self._taken.set()
        return piece
