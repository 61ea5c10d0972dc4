"""The resumable uploads of this process: with a connection, or parked after it ended.

A connection that resumes one of them takes it as it is, with all that its writer holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .conf import upload_settings
from .entries import Status

if TYPE_CHECKING:
    from .transfer import Transfer

#: Seconds for which a transfer waits for a connection to come back, with all that it holds.
PARKED_SECONDS = 60.0


class Parking:
    """Listens to the transfers that have no connection."""

    attached = False

    def __init__(self) -> None:
        self._transfers: dict[str, Transfer] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._expiring: set[asyncio.Task[None]] = set()

    def add(self, transfer: Transfer) -> None:
        """Others may resume it from now on."""
        if transfer.upload_id:
            self._transfers[transfer.upload_id] = transfer

    def get(self, upload_id: str | None) -> Transfer | None:
        return self._transfers.get(upload_id or "")

    def forget(self, transfer: Transfer) -> None:
        upload_id = transfer.upload_id or ""
        if self._transfers.get(upload_id) is transfer:
            del self._transfers[upload_id]
            self._stop_timer(upload_id)

    def park(self, transfer: Transfer) -> None:
        """Its connection is gone."""
        transfer.attach(self)
        if transfer.entry.status is Status.COMPLETE:
            self._start_timer(transfer)

    # The listener

    async def send(self, message: Mapping[str, Any]) -> None:
        """Nobody is there. Who comes back asks."""

    def transfer_ended(self, transfer: Transfer) -> None:
        if transfer.entry.status is Status.COMPLETE:
            self._start_timer(transfer)
        else:
            self.forget(transfer)

    def lose(self, transfer: Transfer) -> None:
        """Nothing is sent from here."""

    def surrender(self, transfer: Transfer) -> None:
        """A connection resumes it."""
        self._stop_timer(transfer.upload_id or "")

    # A complete upload waits for RESUME_TTL.

    def _start_timer(self, transfer: Transfer) -> None:
        assert transfer.upload_id
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
