"""The resumable uploads of this process: with a connection, or parked after it ended.

A connection that resumes one of them takes it as it is, with all that its writer holds.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ..settings import upload_settings
from ..slots.status import Status

if TYPE_CHECKING:
    from ..transfer.transfer import Transfer

#: Seconds for which a transfer waits for a connection to come back, with all that it holds.
PARKED_SECONDS = 60.0

#: Uploads that one owner may have parked, or twice as many as the slot has places, whichever is
#: more. Otherwise a client that comes and goes would fill the memory.
PARKED_UPLOADS = 100


class Parking:
    """Listens to the transfers that have no connection."""

    attached = False

    def __init__(self) -> None:
        self._transfers: dict[str, Transfer] = {}
        #: Owner → the ids of those without a connection, the longest parked first; and back.
        self._parked: dict[str, dict[str, None]] = {}
        self._owners: dict[str, str] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._expiring: set[asyncio.Task[None]] = set()
        self._resuming: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def add(self, transfer: Transfer) -> None:
        """Others may resume it from now on."""
        if transfer.upload_id:
            self._transfers[transfer.upload_id] = transfer

    def get(self, upload_id: str | None) -> Transfer | None:
        return self._transfers.get(upload_id or "")

    def alone(self, upload_id: str) -> asyncio.Lock:
        """To be held by a connection that resumes it: one at a time, and the last one wins."""
        lock = self._resuming.get(upload_id)
        if lock is None:
            self._resuming[upload_id] = lock = asyncio.Lock()
        return lock

    def forget(self, transfer: Transfer) -> None:
        upload_id = transfer.upload_id or ""
        if self._transfers.get(upload_id) is transfer:
            del self._transfers[upload_id]
            self._leave(upload_id)

    def park(self, transfer: Transfer, owner: str) -> None:
        """Its connection is gone."""
        self._enter(transfer, owner)
        transfer.attach(self)
        if transfer.entry.status is Status.COMPLETE:
            self._keep(transfer)

    # The listener

    async def send(self, message: Mapping[str, Any]) -> None:
        """Nobody is there. Who comes back asks."""

    def transfer_ended(self, transfer: Transfer) -> None:
        if transfer.entry.status is Status.COMPLETE:
            self._keep(transfer)
        else:
            self.forget(transfer)

    def lost(self, transfer: Transfer) -> None:
        """Nobody was there."""

    def surrender(self, transfer: Transfer) -> None:
        """A connection resumes it."""
        self._leave(transfer.upload_id or "")

    # What one owner may have here.

    def _enter(self, transfer: Transfer, owner: str) -> None:
        upload_id = transfer.upload_id or ""
        if self._transfers.get(upload_id) is not transfer:
            return
        self._owners[upload_id] = owner
        parked = self._parked.setdefault(owner, {})
        parked[upload_id] = None
        too_many = len(parked) - max(PARKED_UPLOADS, 2 * transfer.slot.max_entries)
        for oldest in list(itertools.islice(parked, max(0, too_many))):
            self._let_go(self._transfers[oldest])

    def _leave(self, upload_id: str) -> None:
        self._stop_timer(upload_id)
        owner = self._owners.pop(upload_id, "")
        parked = self._parked.get(owner, {})
        parked.pop(upload_id, None)
        if not parked:
            self._parked.pop(owner, None)

    def _let_go(self, transfer: Transfer) -> None:
        if transfer.entry.status is Status.COMPLETE:
            self._expire(transfer)
        else:
            transfer.abandon()

    # A complete upload waits for RESUME_TTL.

    def _keep(self, transfer: Transfer) -> None:
        assert transfer.upload_id
        if self._transfers.get(transfer.upload_id) is not transfer:
            # It was let go of before it was complete.
            self._expire(transfer)
            return
        self._stop_timer(transfer.upload_id)
        loop = asyncio.get_running_loop()
        # What only this process knows of is not kept for so long: it may be in its memory.
        seconds = upload_settings().resume_ttl if transfer.checkpoints else PARKED_SECONDS
        self._timers[transfer.upload_id] = loop.call_later(seconds, self._expire, transfer)

    def _stop_timer(self, upload_id: str) -> None:
        if timer := self._timers.pop(upload_id, None):
            timer.cancel()

    def _expire(self, transfer: Transfer) -> None:
        self.forget(transfer)
        task = asyncio.ensure_future(transfer.discard())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)


parking = Parking()
