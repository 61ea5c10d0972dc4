"""What the uploads of one process hold together, and who may hold more next.

``MAX_BUFFERED_BYTES`` is for all uploads of the process. One half is for windows, the other half
for what sinks gather (:func:`gather_size`) and send (:meth:`Budget.fits`). Where the bytes do not
suffice for all uploads, each upload gets an even share. Where that share is less than a chunk, the
uploads take turns: each waits in line until there is room for one chunk. No upload waits long
behind a sink that hangs, or behind clients that do not send what they may.
"""

from __future__ import annotations

import math
from typing import Protocol

from ..settings import upload_settings

#: Seconds after which an upload no longer waits for its turn, and after which unused room goes to
#: others. With a chunk of 256 KiB for each upload, a thousand uploads have their turn in less.
TURN_TIMEOUT = 1.0


class Claim(Protocol):
    """One upload's part in the budget. A :class:`~djust_uploads.flow.window.Window` is one."""

    @property
    def lacks(self) -> int:
        """Bytes that the budget must have room for, so that the claim can :meth:`move`."""

    def move(self) -> None:
        """It is this claim's turn: let its client send more."""

    def moved(self) -> None:
        """The claim moved because another claim gave room back."""

    def reclaim(self, before: float) -> None:
        """Give back what the client was allowed to send by then, and has not sent."""


class Budget:
    """Counts what all uploads of this process hold. Whoever wants to hold more asks it first."""

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
        """How many are on their way."""
        return len(self._claims)

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

    def join(self, claim: Claim) -> None:
        self._claims.add(claim)

    def leave(self, claim: Claim) -> None:
        self._claims.discard(claim)
        self._line.pop(claim, None)
        self.serve()

    def waits(self, claim: Claim) -> bool:
        return claim in self._line

    def ask(self, claim: Claim) -> None:
        """Let the claim move now, if it is its turn."""
        self._line[claim] = None
        self.serve(claim)

    def serve(self, asking: Claim | None = None) -> None:
        """Let those move whose turn it is; they are told so, except the one that asks."""
        while self._line:
            claim = next(iter(self._line))
            if self.granted and self.granted + claim.lacks > self.half:
                return
            del self._line[claim]
            claim.move()
            if claim is not asking:
                claim.moved()

    def insist(self, claim: Claim, now: float) -> None:
        """Its turn has come, whoever is before it."""
        if now >= self._reclaimed_at + TURN_TIMEOUT:
            self._reclaimed_at = now
            for other in self._claims:
                other.reclaim(now - TURN_TIMEOUT)
            self.serve(claim)
        if self.waits(claim):
            del self._line[claim]
            claim.move()

    def fits(self, size: int) -> bool:
        """Whether a sink may have ``size`` bytes more on their way at once."""
        return self.sending + size <= self.half

    def hold(self, size: int) -> None:
        """Count ``size`` bytes as on their way to a store, until :meth:`release`."""
        self.sending += size

    def release(self, size: int) -> None:
        self.sending -= size


budget: Budget = Budget()


def gather_size(most: int) -> int:
    """Bytes, at most ``most``, that a sink may gather of one upload before it stores them."""
    return min(most, budget.share)
