"""How many bytes the uploads of one process may hold in memory together, and whose turn it is.

All uploads of the process share ``MAX_BUFFERED_BYTES``. One half is for windows. The other half is
for the bytes that sinks gather (:func:`gather_size`) and send (:meth:`Budget.fits`). If there are
not enough bytes for all windows, each upload gets an even share. If that share is less than a
chunk, the uploads take turns: each waits in line until there is room for one of its chunks. No
upload waits long behind a sink that hangs, or behind a client that does not send what it may.
"""

from __future__ import annotations

import math
from typing import Protocol

from ..settings import upload_settings

#: Seconds after which an upload no longer waits for its turn, and after which room that a client
#: does not use goes to others. With chunks of 256 KiB, a thousand uploads take less time for a turn
#: each.
TURN_TIMEOUT = 1.0


class Claim(Protocol):
    """One upload's part in the budget. A :class:`~djust_uploads.flow.window.Window` is one."""

    @property
    def lacks(self) -> int:
        """Bytes that the budget must have room for, so that the claim can :meth:`move`."""

    def move(self) -> None:
        """Let the client send more, because it is this claim's turn."""

    def moved(self) -> None:
        """Note that the claim has moved because another claim has given room back."""

    def reclaim(self, before: float) -> None:
        """Give back what the client was allowed to send before that time and has not sent.

        ``before`` is a time of the monotonic clock, in seconds.
        """


class Budget:
    """Counts the bytes that all uploads of this process hold. All sizes are in bytes."""

    def __init__(self) -> None:
        #: One claim for each upload that is on its way.
        self._claims: set[Claim] = set()
        #: The claims that wait for their turn, in order.
        self._line: dict[Claim, None] = {}
        self._reclaimed_at = -math.inf
        #: The sum of the windows that the uploads would like to have, in bytes.
        self.wanted: int = 0
        #: Bytes that clients have sent or may send at once, and that no sink has taken yet.
        self.granted: int = 0
        #: Bytes that have arrived and that no sink has taken yet.
        self.buffered: int = 0
        #: Bytes that sinks have on their way to a store.
        self.sending: int = 0

    @property
    def uploads(self) -> int:
        """How many uploads are on their way."""
        return len(self._claims)

    @property
    def half(self) -> int:
        """The bytes for all windows, and the bytes for all sinks."""
        return upload_settings().max_buffered_bytes // 2

    @property
    def share(self) -> int:
        """One upload's even share of a half."""
        return self.half // max(1, self.uploads)

    @property
    def overrun(self) -> bool:
        """Whether more than ``MAX_BUFFERED_BYTES`` is held.

        That happens only if clients overstep their limits.
        """
        return self.buffered + self.sending > upload_settings().max_buffered_bytes

    @property
    def crowded(self) -> bool:
        """Whether some uploads have smaller windows than they would like to have."""
        return self.wanted > self.half or bool(self._line)

    def join(self, claim: Claim) -> None:
        """Add the claim of an upload that begins."""
        self._claims.add(claim)

    def leave(self, claim: Claim) -> None:
        """Remove the claim of an upload that has ended."""
        self._claims.discard(claim)
        self._line.pop(claim, None)
        self.serve()

    def waits(self, claim: Claim) -> bool:
        """Return whether the claim waits in the line."""
        return claim in self._line

    def ask(self, claim: Claim) -> None:
        """Put the claim into the line, and let it move now if it is its turn."""
        self._line[claim] = None
        self.serve(claim)

    def serve(self, asking: Claim | None = None) -> None:
        """Let the claims move whose turn it is.

        :meth:`Claim.moved` is called on each of them, except on the one that is ``asking``.
        """
        while self._line:
            claim = next(iter(self._line))
            if self.granted and self.granted + claim.lacks > self.half:
                return
            del self._line[claim]
            claim.move()
            if claim is not asking:
                claim.moved()

    def insist(self, claim: Claim, now: float) -> None:
        """Let the claim move now, even if other claims are before it in the line."""
        if now >= self._reclaimed_at + TURN_TIMEOUT:
            self._reclaimed_at = now
            for other in self._claims:
                other.reclaim(now - TURN_TIMEOUT)
            self.serve(claim)
        if self.waits(claim):
            del self._line[claim]
            claim.move()

    def fits(self, size: int) -> bool:
        """Return whether sinks may send ``size`` bytes more at the same time."""
        return self.sending + size <= self.half

    def hold(self, size: int) -> None:
        """Count ``size`` bytes as on their way to a store, until :meth:`release`."""
        self.sending += size

    def release(self, size: int) -> None:
        """Note that ``size`` bytes are no longer on their way to a store."""
        self.sending -= size


budget: Budget = Budget()


def gather_size(most: int) -> int:
    """Return how many bytes of one upload a sink may gather before it stores them.

    That is ``most``, or fewer if many uploads share the budget.
    """
    return min(most, budget.share)
