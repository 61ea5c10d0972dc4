"""``Parking``: the resumable uploads of one process, which wait here if their connection is gone.

A connection that resumes one of them takes it over with its task and its open writer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from ..settings import upload_settings
from .owners import is_by_secret

#: Seconds for which an unfinished upload is parked, with the memory that it holds.
PARKED_SECONDS = 60.0

#: How many parked uploads one owner may have. If a slot has more than half as many places, twice
#: its places are allowed. Without a bound, a client that connects again and again could fill the
#: memory.
PARKED_UPLOADS = 100

#: How many uploads may be parked of all clients together that have no user and no session. Each of
#: their uploads has an owner of its own.
PARKED_STRANGERS = 1000

#: The owner under whom they are counted.
STRANGERS = "strangers"


class Parkable(Protocol):
    """What the parking needs of an upload. A :class:`~djust_uploads.transfer.Transfer` has it."""

    #: The upload's name for connections that resume it, or ``None`` if nobody may.
    upload_id: str | None

    @property
    def is_complete(self) -> bool:
        """Whether the file is stored and waits to be consumed."""

    @property
    def is_saved(self) -> bool:
        """Whether another process could go on with the upload."""

    @property
    def places(self) -> int:
        """How many files the upload's slot takes at once."""

    def attach(self, listener: Any, /) -> None:
        """Report to ``listener`` from now on."""

    def abandon(self) -> None:
        """Stop waiting for a connection."""

    def leave(self) -> None:
        """Note that this process leaves the complete upload to others."""

    async def expire(self) -> None:
        """End a complete upload that nobody has consumed in time."""


P = TypeVar("P", bound=Parkable)


class Parking(Generic[P]):
    """Knows the resumable uploads of a process, and listens to those without a connection."""

    #: The parking is not attached to a client.
    attached = False

    patience: float = 0.0

    def __init__(self) -> None:
        self._transfers: dict[str, P] = {}
        #: Owner to the ids of the owner's parked uploads, the longest parked first.
        self._parked: dict[str, dict[str, None]] = {}
        #: Id of a parked upload to its owner.
        self._owners: dict[str, str] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._expiring: set[asyncio.Task[None]] = set()
        self._resuming: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def add(self, transfer: P) -> None:
        """Let other connections resume the upload from now on, if it is resumable."""
        if transfer.upload_id:
            self._transfers[transfer.upload_id] = transfer

    def get(self, upload_id: str | None) -> P | None:
        """Return the upload of that name, if this process has it."""
        return self._transfers.get(upload_id or "")

    def alone(self, upload_id: str) -> asyncio.Lock:
        """Return the lock that a connection holds while it resumes the upload.

        Connections resume an upload one after the other, and the last one has it.
        """
        lock = self._resuming.get(upload_id)
        if lock is None:
            self._resuming[upload_id] = lock = asyncio.Lock()
        return lock

    def forget(self, transfer: P) -> None:
        """Let nobody resume the upload in this process any more."""
        upload_id = transfer.upload_id or ""
        if self._transfers.get(upload_id) is transfer:
            del self._transfers[upload_id]
            self._leave(upload_id)

    def park(self, transfer: P, owner: str) -> None:
        """Take an upload whose connection is gone."""
        self._enter(transfer, STRANGERS if is_by_secret(owner) else owner)
        transfer.attach(self)
        if transfer.is_complete:
            self._keep(transfer)

    # A transfer calls these on its listener.

    async def send(self, message: Mapping[str, Any]) -> None:
        """Drop the message, because there is no client. A client that comes back asks."""

    def transfer_ended(self, transfer: P) -> None:
        """Keep a complete upload, and forget any other that has ended."""
        if transfer.is_complete:
            self._keep(transfer)
        else:
            self.forget(transfer)

    def lost(self, transfer: P) -> None:
        """Do nothing, because there was no connection."""

    def surrender(self, transfer: P) -> None:
        """Give the upload to a connection that resumes it."""
        self._leave(transfer.upload_id or "")

    # An owner has a bounded number of uploads here.

    def _enter(self, transfer: P, owner: str) -> None:
        upload_id = transfer.upload_id or ""
        if self._transfers.get(upload_id) is not transfer:
            return
        self._owners[upload_id] = owner
        parked = self._parked.setdefault(owner, {})
        parked[upload_id] = None
        most = PARKED_STRANGERS if owner == STRANGERS else PARKED_UPLOADS
        too_many = len(parked) - max(most, 2 * transfer.places)
        for oldest in list(itertools.islice(parked, max(0, too_many))):
            self._let_go(self._transfers[oldest], owner)

    def _leave(self, upload_id: str) -> None:
        self._stop_timer(upload_id)
        owner = self._owners.pop(upload_id, "")
        parked = self._parked.get(owner, {})
        parked.pop(upload_id, None)
        if not parked:
            self._parked.pop(owner, None)

    def _let_go(self, transfer: P, owner: str) -> None:
        if transfer.is_complete and transfer.is_saved and owner == STRANGERS:
            # It is somebody else's. Any process finds it, and a sweep when it has expired.
            self.forget(transfer)
            transfer.leave()
        elif transfer.is_complete:
            self._expire(transfer)
        else:
            transfer.abandon()

    # A complete upload waits here for RESUME_TTL.

    def _keep(self, transfer: P) -> None:
        assert transfer.upload_id
        if self._transfers.get(transfer.upload_id) is not transfer:
            # The upload was let go of before it was complete.
            self._expire(transfer)
            return
        self._stop_timer(transfer.upload_id)
        loop = asyncio.get_running_loop()
        # A file that only this process knows of may be in its memory. It is not kept for so long.
        seconds = upload_settings().resume_ttl if transfer.is_saved else PARKED_SECONDS
        self._timers[transfer.upload_id] = loop.call_later(seconds, self._expire, transfer)

    def _stop_timer(self, upload_id: str) -> None:
        if timer := self._timers.pop(upload_id, None):
            timer.cancel()

    def _expire(self, transfer: P) -> None:
        self.forget(transfer)
        task = asyncio.ensure_future(transfer.expire())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)
