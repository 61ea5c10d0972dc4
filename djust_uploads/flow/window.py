"""``Window``: how far one client may be ahead of its sink.

A client may send up to its ``limit``: the bytes that the sink has taken, plus a window. A window
starts small. It doubles while the client uses it up faster than the next limit can reach the
client. So it grows until it is larger than bandwidth times delay, and than a few frames. The
slowest of client, link and sink sets the bandwidth. With a slow client or a slow sink, the window
stays small.

All windows of the process share the :mod:`~djust_uploads.flow.budget`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .budget import Budget, budget

#: Bytes that a client may be ahead before anything is known about its link. ``START_SHARE`` bounds
#: it further.
START_WINDOW = 2 * 1024 * 1024

#: The largest part of its even share that a window starts with. After a restart of the server, all
#: clients come at once. The server must be able to read what they may send in a moment, so that
#: page events do not have to wait.
START_SHARE = 1 / 16

#: The most bytes that a client may be ahead. At a round trip of 100 ms this carries 160 MB/s.
MAX_WINDOW = 16 * 1024 * 1024

#: A window that carries fewer frames than this is too small: while the sink takes one frame and the
#: next limit travels to the client, the next frame must be on its way.
_FRAMES = 3

#: A window that is used up within this many round trips is too small. To use up a window takes two
#: round trips, because the next limit is sent when half of the window is used up. The other two
#: allow for round trips that take longer than the shortest one.
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
        """Create the window of an upload. All sizes are in bytes.

        ``least`` is the smallest window with which the upload can go on. ``size`` is the size of
        the file, and ``taken`` the number of bytes that the sink has already. ``moved`` is called
        when ``limit`` has moved because another window has given room back.
        """
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
        #: The shortest measured round trip in seconds, or 0 before the first measurement.
        self._round_trip = 0.0
        #: When a byte beyond this position arrives, the client has received the message that was
        #: sent at this time.
        self._probe, self._probed_at = float(taken), self.told_at
        #: The time at which the sink began to take the present window, and its first byte.
        self._epoch_at, self._epoch_taken = self.told_at, taken
        #: Bytes of the frame that arrived last, if it carried several chunks.
        self._frame = 0

    def start_at(self, taken: int) -> None:
        """Note that the sink has ``taken`` bytes from another process."""
        self._set_out(taken)
        self._probe, self._probed_at = float(taken), self._clock()
        self._epoch_at, self._epoch_taken = self._probed_at, taken

    def _set_out(self, taken: int) -> None:
        self._taken = self.limit = taken
        self._ask()
        self.told_limit = self.limit

    def close(self) -> None:
        """Give back what the upload holds. May be called again."""
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

    # feed() and take() are called for each frame.

    def feed(self, size: int, received: int) -> None:
        """Note that a frame of ``size`` bytes has arrived, and ``received`` bytes in all."""
        self._frame = size if size > self._least else 0
        self._buffered += size
        self._budget.buffered += size
        if self._reclaimed:
            self._count()
        if received > self._probe:
            self._measure()

    def take(self, size: int, taken: int) -> None:
        """Note that the sink has taken ``size`` bytes, and ``taken`` bytes in all."""
        self._buffered -= size
        self._budget.buffered -= size
        self._taken = taken
        self._ask()

    def must_tell(self, received: int) -> bool:
        """Return whether the client may have to wait unless it is told the new limit now."""
        if received >= self._end:
            return False
        if not self._buffered and self.told_limit - received < self._least:
            # The client cannot send its next chunk before it hears from us, even if it has
            # overstepped its limit. If it has to wait for its turn, it is told when its turn comes.
            return self.limit > self.told_limit or not self.waits
        return self.limit - self.told_limit >= self.size // 2

    def tell(self) -> int:
        """Return the limit. The caller must tell it to the client at once."""
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
        """Whether the upload waits for its turn. After ``TURN_TIMEOUT`` it may :meth:`insist`."""
        return self._budget.waits(self)

    def insist(self) -> None:
        """Move now, although other uploads are before this one in the line."""
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
        """How many bytes the budget must have room for, so that the window can move."""
        return max(0, min(self.size, self._end - self._taken) - self._granted)

    def move(self) -> None:
        """Move the limit as far as the window allows now."""
        # The limit never moves back, because the client may already have sent bytes up to it.
        self.limit = max(self.limit, self._taken + self.size)
        self._moved_at, self._reclaimed = self._clock(), False
        self._count()

    def reclaim(self, before: float) -> None:
        """Give the room that the client has not used since ``before`` to other uploads.

        The client may still send those bytes, because its limit does not move back.
        """
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
        # The client may have waited for other reasons than the round trip. So the shortest time is
        # nearest to a round trip.
        passed = self._clock() - self._probed_at
        self._round_trip = min(self._round_trip or passed, passed)
        self._probe = math.inf

    def _adapt(self, now: float) -> None:
        size, used = self.size, self._taken - self._epoch_taken
        # A whole window must be used up. The bytes that are buffered when an epoch begins may be
        # taken at once, and would make the client look faster.
        if used < size:
            return
        too_soon = self._epoch_at + _ROUND_TRIPS * self._round_trip * used / size
        # If the window is smaller than wanted, the time says nothing about a larger one.
        if (now < too_soon or size < _FRAMES * self._frame) and size == self._wanted:
            self._grow()
        self._epoch_at, self._epoch_taken = now, self._taken

    def _grow(self) -> None:
        wanted = min(2 * self._wanted, self._most)
        self._budget.wanted += wanted - self._wanted
        self._wanted = wanted
