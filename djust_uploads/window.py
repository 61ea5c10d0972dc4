"""How far each client may be ahead of its sink, and what the uploads of one process hold together.

A client may send up to its ``limit``: what the sink took, and a window. A window begins small and
doubles while the client uses it up faster than word of the next one can reach it, so that it ends
above bandwidth times delay. Bandwidth is what client, link and sink manage together: behind a slow
sink, or with a slow client, a window stays small.

``MAX_BUFFERED_BYTES`` is for all uploads of the process: one half for windows, the other for what
sinks gather (:func:`gather_size`, :meth:`Budget.fits`). Where it is too little for all that would
like to have more, each has an even share; where that is less than a chunk, they take turns, and
each waits in line until there is room for one. Nobody waits for long behind a sink that hangs, or
for clients that don't send what they may.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .conf import upload_settings

#: Bytes that a client may be ahead before anything is known of it, …
START_WINDOW = 256 * 1024
#: … and what part of its even share at most. When all come at once, as after a restart, what they
#: may send at once is read in a moment, and events don't wait for it.
START_SHARE = 1 / 16

#: Bytes that a client may be ahead at most. At 100 ms round trip this carries 160 MB/s.
MAX_WINDOW = 16 * 1024 * 1024

#: Seconds until a place in line is had anyway, and until room is nobody's any more who does not use
#: it. With a chunk of 256 KiB for each, a thousand uploads have their turn in less.
TURN_TIMEOUT = 1.0

#: A window that is used up within so many round trips is too small. Two are what it takes, because
#: word of the next one goes out when half of it is used up; and a round trip is not always as short
#: as the shortest.
_ROUND_TRIPS = 4


class Budget:
    """What all uploads of this process hold. It counts; who holds something asks it first."""

    def __init__(self) -> None:
        #: Of the uploads that are on their way.
        self._windows: set[Window] = set()
        #: Those that wait for their turn, in order.
        self._line: dict[Window, None] = {}
        self._reclaimed_at = -math.inf
        #: The sum of the windows that they would like to have, in bytes.
        self.wanted = 0
        #: Bytes that clients sent or may send at once, and that no sink has taken.
        self.granted = 0
        #: Bytes between socket and sink.
        self.buffered = 0
        #: Bytes that sinks have on their way to a store.
        self.sending = 0

    @property
    def uploads(self) -> int:
        """How many are on their way."""
        return len(self._windows)

    @property
    def half(self) -> int:
        return upload_settings().max_buffered_bytes // 2

    @property
    def share(self) -> int:
        """One upload's even share of a half."""
        return self.half // max(1, self.uploads)

    @property
    def overrun(self) -> bool:
        """Whether more is held than ``MAX_BUFFERED_BYTES``: only clients that overstep their limits
        bring that about."""
        return self.buffered + self.sending > upload_settings().max_buffered_bytes

    @property
    def crowded(self) -> bool:
        """Whether not all have the windows that they would like to have."""
        return self.wanted > self.half or bool(self._line)

    def join(self, window: Window) -> None:
        self._windows.add(window)

    def leave(self, window: Window) -> None:
        self._windows.discard(window)
        self._line.pop(window, None)
        self.serve()

    def waits(self, window: Window) -> bool:
        return window in self._line

    def ask(self, window: Window) -> None:
        """Let the window move now, if it is its turn."""
        self._line[window] = None
        self.serve(window)

    def serve(self, asking: Window | None = None) -> None:
        """Let those move whose turn it is; they are told so, except the one that asks."""
        while self._line:
            window = next(iter(self._line))
            if self.granted and self.granted + window.lacks > self.half:
                return
            del self._line[window]
            window.move()
            if window is not asking:
                window.moved()

    def insist(self, window: Window, now: float) -> None:
        """Its turn has come, whoever is before it."""
        if now >= self._reclaimed_at + TURN_TIMEOUT:
            self._reclaimed_at = now
            for other in self._windows:
                other.reclaim(now - TURN_TIMEOUT)
            self.serve(window)
        if self.waits(window):
            del self._line[window]
            window.move()

    def fits(self, size: int) -> bool:
        """Whether a sink may have ``size`` bytes more on their way at once."""
        return self.sending + size <= self.half

    def hold(self, size: int) -> None:
        """Count ``size`` bytes as on their way to a store, until :meth:`release`."""
        self.sending += size

    def release(self, size: int) -> None:
        self.sending -= size


budget = Budget()


def gather_size(most: int) -> int:
    """Bytes, at most ``most``, that a sink may gather of one upload before it stores them."""
    return min(most, budget.share)


class Window:
    """One upload's part in the :class:`Budget`, from its registration to :meth:`close`.

    ``limit`` is the position up to which the client may send, and never goes back.
    """

    def __init__(
        self,
        least: int,
        size: int,
        taken: int = 0,
        *,
        moved: Callable[[], None] = lambda: None,
        budget: Budget = budget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``least``: bytes that the client must be allowed at once, or nothing would move.
        ``size``: the file's. ``taken``: those of them that the sink has already. ``moved`` is
        called when it was the window's turn, and ``limit`` has moved, by what another one did."""
        self.moved = moved
        self._budget, self._clock = budget, clock
        self._least, self._end = least, size
        self._most = max(least, min(MAX_WINDOW, size))
        budget.join(self)
        start = min(START_WINDOW, int(budget.share * START_SHARE))
        self._wanted = min(max(least, start), self._most)
        budget.wanted += self._wanted
        self._buffered = 0
        self._closed = False
        self._granted, self._reclaimed = 0, False
        self.told_at = self._moved_at = clock()
        self._set_out(taken)
        #: Seconds, at least one round trip; 0 before it is known.
        self._round_trip = 0.0
        #: A byte beyond this position was sent by a client that heard what we said at this time.
        self._probe, self._probed_at = float(taken), self.told_at
        #: When the sink began to take the window that it takes now, and from which byte on.
        self._epoch_at, self._epoch_taken = self.told_at, taken

    def start_at(self, taken: int) -> None:
        """The upload was resumed: the sink has ``taken`` bytes from another process."""
        self._set_out(taken)
        self._probe, self._probed_at = float(taken), self._clock()
        self._epoch_at, self._epoch_taken = self._probed_at, taken

    def _set_out(self, taken: int) -> None:
        self._taken = self.limit = taken
        self._ask()
        self.told_limit = self.limit

    def close(self) -> None:
        """Give back what the upload holds. Idempotent."""
        if not self._closed:
            self._closed = True
            self._budget.wanted -= self._wanted
            self._budget.buffered -= self._buffered
            self._budget.granted -= self._granted
            self._budget.leave(self)

    @property
    def size(self) -> int:
        """Bytes that the client may be ahead now."""
        if self._budget.wanted <= self._budget.half:
            return self._wanted
        return max(self._least, min(self._wanted, self._budget.share))

    # Both are called for each chunk.

    def feed(self, size: int, received: int) -> None:
        """``size`` bytes arrived; ``received`` in all."""
        self._buffered += size
        self._budget.buffered += size
        if self._reclaimed:
            self._count()
        if received > self._probe:
            self._measure()

    def take(self, size: int, taken: int) -> None:
        """The sink took ``size`` bytes; ``taken`` in all."""
        self._buffered -= size
        self._budget.buffered -= size
        self._taken = taken
        self._ask()

    def must_tell(self, received: int) -> bool:
        """Whether a client that keeps to its limit may stall unless it hears of the new one now."""
        if not self._buffered and self.told_limit - received < self._least:
            # It waits for us, and nobody will ask again. Also one that overstepped until now. But
            # one that waits for its turn is told when it comes.
            return self.limit > self.told_limit or not self.waits
        return self.limit - self.told_limit >= self.size // 2

    def tell(self) -> int:
        """The limit, to be told to the client at once."""
        now = self._clock()
        self._adapt(now)
        self._ask()
        if self.limit > self.told_limit and self._probe == math.inf:
            self._probe, self._probed_at = self.told_limit, now
        self.told_limit, self.told_at = self.limit, now
        return self.limit

    # Taking turns.

    @property
    def waits(self) -> bool:
        """Whether it waits for its turn; after ``TURN_TIMEOUT`` it may :meth:`insist`."""
        return self._budget.waits(self)

    def insist(self) -> None:
        self._budget.insist(self, self._clock())

    def _ask(self) -> None:
        if not self._budget.crowded:
            self.move()
            return
        self._count()
        if self.limit < min(self._taken + self.size, self._end):
            self._budget.ask(self)
        else:
            self._budget.serve()

    @property
    def lacks(self) -> int:
        """Bytes that the budget must have room for, so that the window can move."""
        return max(0, min(self.size, self._end - self._taken) - self._granted)

    def move(self) -> None:
        """Let the client send as far as it may now."""
        # Never backwards: it may already have sent what it was promised.
        self.limit = max(self.limit, self._taken + self.size)
        self._moved_at, self._reclaimed = self._clock(), False
        self._count()

    def reclaim(self, before: float) -> None:
        """What the client has not used since then may be another's. It may still send it."""
        if self._moved_at <= before:
            self._reclaimed = True
            self._count()

    def _count(self) -> None:
        granted = max(0, min(self.limit, self._end) - self._taken)
        if self._reclaimed:
            granted = min(granted, self._buffered)
        if granted != self._granted:
            self._budget.granted += granted - self._granted
            self._granted = granted

    def _measure(self) -> None:
        # Whatever kept the client beside the way, it was not faster than that. So the least counts.
        passed = self._clock() - self._probed_at
        self._round_trip = min(self._round_trip or passed, passed)
        self._probe = math.inf

    def _adapt(self, now: float) -> None:
        size, used = self.size, self._taken - self._epoch_taken
        # All of a window: what is buffered when an epoch begins may be taken in no time.
        if used < size:
            return
        too_soon = self._epoch_at + _ROUND_TRIPS * self._round_trip * used / size
        # A window that is less than what it wants to be says nothing of what it needs.
        if now < too_soon and size == self._wanted:
            self._grow()
        self._epoch_at, self._epoch_taken = now, self._taken

    def _grow(self) -> None:
        wanted = min(2 * self._wanted, self._most)
        self._budget.wanted += wanted - self._wanted
        self._wanted = wanted
