"""Which complete entries the application has looked at, and which it is done with.

Handlers run in threads. What is here changes dictionaries and lists, each change one step under
the GIL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from ..slots.entry import UploadEntry
from ..slots.status import Status


class Consumption:
    """One manager's: an entry is first in hand, then consumed, and when no handler runs any more
    its file goes where it is to go.

    ``take_out``: removes an entry from those that wait to be consumed, and tells whether it was
    among them.
    """

    def __init__(self, take_out: Callable[[UploadEntry], bool]) -> None:
        self._take_out = take_out
        self._in_hand: dict[str, UploadEntry] = {}
        self._consumed: list[UploadEntry] = []
        self._turns = 0

    @property
    def running(self) -> bool:
        """Whether a handler runs: the files of consumed entries must be there."""
        return self._turns > 0

    def in_hand(self, entry: UploadEntry) -> bool:
        return entry.ref in self._in_hand

    def take_up(self, entries: Iterable[UploadEntry]) -> Iterator[UploadEntry]:
        """Those that are complete, each in hand from now on."""
        for entry in entries:
            if entry.status is Status.COMPLETE and not self.in_hand(entry):
                self._in_hand[entry.ref] = entry
                yield entry

    def settle(self, entry: UploadEntry) -> None:
        """The application is done with the entry in hand."""
        if self._in_hand.pop(entry.ref, None) is None or entry.take_postponed():
            return
        if self._take_out(entry):
            entry.consume()
            self._consumed.append(entry)

    def begin(self) -> None:
        """A handler begins."""
        self._turns += 1

    def returned(self) -> None:
        """It returned, and did not raise: what is in hand is consumed, once no other one runs."""
        if self._turns == 1:
            for entry in list(self._in_hand.values()):
                self.settle(entry)

    def end(self) -> None:
        """It ended. What is still in hand then stays."""
        self._turns -= 1
        if not self._turns:
            for entry in self._in_hand.values():
                entry.take_postponed()
            self._in_hand.clear()

    def take_consumed(self) -> list[UploadEntry]:
        """Those that were consumed since the last time this was asked."""
        consumed, self._consumed = self._consumed, []
        return consumed


class ConsumedEntries:
    """Iterates, with ``for`` and ``async for`` alike, over a slot's complete entries."""

    def __init__(self, consumption: Consumption, entries: Iterable[UploadEntry]) -> None:
        self._consumption = consumption
        self._source = consumption.take_up(entries)
        self._current: UploadEntry | None = None

    def __iter__(self) -> Iterator[UploadEntry]:
        return self

    def __aiter__(self) -> AsyncIterator[UploadEntry]:
        return self

    def __next__(self) -> UploadEntry:
        if self._current:
            self._consumption.settle(self._current)
            self._current = None
        self._current = next(self._source)
        return self._current

    async def __anext__(self) -> UploadEntry:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None
