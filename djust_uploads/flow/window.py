"""How far one client may be ahead of its sink.

A client may send up to its ``limit``: the bytes that the sink has taken, plus a window. A window
starts small. It doubles while the client uses it up faster than the next limit can reach the
client, so it ends above bandwidth times delay, and holds some frames. Client, link and sink set the bandwidth together:
behind a slow sink, or with a slow client, the window stays small.

All windows of the process share the :mod:`~djust_uploads.flow.budget`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .budget import Budget, budget

#: Bytes that a client may be ahead before anything is known about its link. ``START_SHARE`` bounds
#: it further.
START_WINDOW = 256 * 1024

#: The largest part of its even share that a window starts with. After a restart all clients come at
#: once. What they may send at once must be read in a moment, so that page events do not wait for
#: it.
START_SHARE = 1 / 16

#: The most bytes that a client may be ahead. At a round trip of 100 ms this carries 160 MB/s.
MAX_WINDOW = 16 * 1024 * 1024

#: A window that carries fewer frames than this is too small: while the sink takes one frame and the
#: next limit travels to the client, the next frame must be on its way.
_FRAMES = 3

#: A window that is used up within this many round trips is too small. Using one up takes two,
#: because the next limit is sent when half of the window is used up. The other two allow for round
#: trips that take longer than the shortest one.
_ROUND_TRIPS = 4


class Window:
    """One upload's part in the :class:`Budget`, from its registration to :meth:`close`.

    ``limit`` is the position up to which the client may send, and never goes back.
    """

    #: The byte position up to which the client may send.
    limit: int
    #: The limit that the client was told last, and the time of it on the clock.
    told_limit: int
    told_at: float

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
        #: Bytes of the frame that arrived last, if it carried several chunks.
        self._frame = 0

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

    # Both are called for each frame.

    def feed(self, size: int, received: int) -> None:
        """A frame of ``size`` bytes arrived; ``received`` in all."""
        self._frame = size if size > self._least else 0
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
        if (now < too_soon or size < _FRAMES * self._frame) and size == self._wanted:
            self._grow()
        self._epoch_at, self._epoch_taken = now, self._taken

    def _grow(self) -> None:
        wanted = min(2 * self._wanted, self._most)
        self._budget.wanted += wanted - self._wanted
        self._wanted = wanted
