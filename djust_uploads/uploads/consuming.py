"""Which complete entries the application is using, and which it is done with.

Handlers run in threads. This module only changes dictionaries and lists, and the GIL makes each
change one step.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Protocol

from ..slots.entry import UploadEntry
from ..slots.status import Status


class Consumption:
    """Tracks the entries of one connection that its handlers consume.

    While the application uses an entry, the entry is *in hand*. When the application is done with
    it, the entry is consumed. When no handler runs any more, the manager takes the consumed entries
    (:meth:`take_consumed`) and keeps or deletes their files.

    ``take_out`` removes an entry from those that wait to be consumed, and returns whether it was
    among them.
    """

    def __init__(self, take_out: Callable[[UploadEntry], bool]) -> None:
        self._take_out = take_out
        self._in_hand: dict[str, UploadEntry] = {}
        self._consumed: list[UploadEntry] = []
        self._turns = 0

    @property
    def running(self) -> bool:
        """Whether a handler runs. The files of consumed entries must be there until none does."""
        return self._turns > 0

    def in_hand(self, entry: UploadEntry) -> bool:
        """Return whether a handler has the entry in hand."""
        return entry.ref in self._in_hand

    def take_up(self, entries: Iterable[UploadEntry]) -> Iterator[UploadEntry]:
        """Yield the entries that are complete. Each is in hand from then on."""
        for entry in entries:
            if entry.status is Status.COMPLETE and not self.in_hand(entry):
                self._in_hand[entry.ref] = entry
                yield entry

    def let_go(self, entry: UploadEntry) -> None:
        """Note that the application does not get an entry that was taken up."""
        self._in_hand.pop(entry.ref, None)

    def settle(self, entry: UploadEntry) -> None:
        """Consume an entry in hand, unless the application has postponed it."""
        if self._in_hand.pop(entry.ref, None) is None or entry.take_postponed():
            return
        if self._take_out(entry):
            entry.consume()
            self._consumed.append(entry)

    def begin(self) -> None:
        """Note that a handler begins."""
        self._turns += 1

    def returned(self) -> None:
        """Note that a handler has returned without an exception.

        What is in hand is consumed, unless another handler still runs.
        """
        if self._turns == 1:
            for entry in list(self._in_hand.values()):
                self.settle(entry)

    def end(self) -> None:
        """Note that a handler has ended. What is still in hand then stays unconsumed."""
        self._turns -= 1
        if not self._turns:
            for entry in self._in_hand.values():
                entry.take_postponed()
            self._in_hand.clear()

    def take_consumed(self) -> list[UploadEntry]:
        """Return the entries that were consumed since the last call."""
        consumed, self._consumed = self._consumed, []
        return consumed


class Gate(Protocol):
    """What decides whether the application gets an entry."""

    def passes(self, entry: UploadEntry) -> bool:
        """Return whether the application gets the entry. Blocks."""

    async def apasses(self, entry: UploadEntry) -> bool:
        """Return whether the application gets the entry."""


class ConsumedEntries:
    """Iterates over a slot's complete entries, with ``for`` or with ``async for``.

    An entry is consumed when the loop asks for the next one.
    """

    def __init__(
        self, consumption: Consumption, entries: Iterable[UploadEntry], gate: Gate | None
    ) -> None:
        self._consumption = consumption
        self._source = consumption.take_up(entries)
        self._gate = gate
        self._current: UploadEntry | None = None

    def __iter__(self) -> Iterator[UploadEntry]:
        return self

    def __aiter__(self) -> AsyncIterator[UploadEntry]:
        return self

    def __next__(self) -> UploadEntry:
        self._settle()
        for entry in self._source:
            with self._asking(entry):
                if self._gate is None or self._gate.passes(entry):
                    self._current = entry
                    return entry
        raise StopIteration

    async def __anext__(self) -> UploadEntry:
        self._settle()
        for entry in self._source:
            with self._asking(entry):
                if self._gate is None or await self._gate.apasses(entry):
                    self._current = entry
                    return entry
        raise StopAsyncIteration

    def _settle(self) -> None:
        if self._current:
            self._consumption.settle(self._current)
            self._current = None

    @contextlib.contextmanager
    def _asking(self, entry: UploadEntry) -> Iterator[None]:
        """Let go of an entry which the application does not get after all."""
        try:
            yield
        finally:
            if self._current is not entry:
                self._consumption.let_go(entry)
