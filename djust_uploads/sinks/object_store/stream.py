"""A multipart upload on its way, as obstore reads it."""

from __future__ import annotations

import asyncio

from ...flow.budget import budget


class Aborted(Exception):
    """Ends a multipart upload. obstore aborts it, and raises what its iterable has raised."""


class Stream:
    """The asynchronous iterable of pieces that obstore reads.

    obstore begins a part whenever it has read enough pieces. While ``max_concurrency`` parts are on
    their way, it reads none. At most one piece waits here.
    """

    def __init__(self) -> None:
        #: The outcome of the upload. Do not cancel it: obstore would drop its requests and leave
        #: the multipart upload in the store.
        self.outcome: asyncio.Future[dict[str, str | None]]
        self._piece: bytes | memoryview | None = None
        self._ending = self._aborting = False
        self._given = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()

    def watch(self, outcome: asyncio.Future[dict[str, str | None]], held: int) -> None:
        """Note the upload's outcome, and that it may have ``held`` bytes on its way."""
        self.outcome = outcome
        budget.hold(held)
        outcome.add_done_callback(lambda _: budget.release(held))
        # After its end, obstore asks for no more pieces.
        outcome.add_done_callback(lambda _: self._taken.set())

    async def give(self, piece: bytes | memoryview) -> None:
        """Give obstore a piece. Waits until it has taken the one before, or the upload failed."""
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
