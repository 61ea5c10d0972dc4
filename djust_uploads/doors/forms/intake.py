"""Stores a file that came with a POST, the way in which files of all doors are stored."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.core.files import File

from ... import receipts
from ...exceptions import UploadError
from ...flow import bridge
from ...resuming.owners import owner_by_secret, owner_of
from ...slots.entry import UploadEntry
from ...slots.slot import UploadSlot
from ...transfer.transfer import Transfer
from ...uploads.manager import UploadManager
from ...uploads.sessions import Requester
from ...wire import Registration
from .holding import Held
from .names import RULE, asking

#: Bytes that are read from the file at once. Each block costs a switch of threads.
BLOCK = 1024 * 1024


def store(
    file: File[Any],
    slot: UploadSlot,
    requester: Requester | None,
    authorize: Callable[[UploadEntry, Any], Any] | None = None,
) -> Held:
    """Store a Django file by a slot, and return it as an upload that the caller holds.

    Blocks. The user or the session of the ``requester`` may take the upload later by its receipt;
    without one, whoever has the receipt may. ``authorize`` is what the field asks about the file.
    Raises the :class:`UploadError` for which the slot refuses the file or the sink cannot store it.
    Nothing is left then.
    """
    intake = Intake(slot, requester, authorize)
    try:
        bridge.run(
            intake.begin, file.name or "", getattr(file, "content_type", "") or "", file.size
        )
        file.seek(0)
        while block := file.read(BLOCK):
            bridge.run(intake.feed, block)
        return bridge.run(intake.finish)
    except BaseException:
        bridge.run(intake.drop)
        raise
    finally:
        file.seek(0)


class Intake:
    """Moves one file into the core. The methods run on the event loop of the uploads."""

    def __init__(
        self,
        slot: UploadSlot,
        requester: Requester | None,
        authorize: Callable[[UploadEntry, Any], Any] | None,
    ) -> None:
        self._slot = slot
        owner = owner_of(requester.scope) if requester else None
        self._owner = owner or owner_by_secret(secrets.token_urlsafe(24))
        self._manager = UploadManager()
        self._manager.authorization.requester = requester
        if authorize:
            # Who consumes the receipt in another request finds the field by its endpoint.
            self._manager.authorization.rule = RULE
            self._manager.authorization.ask = asking(
                authorize, requester.user if requester else None
            )
        self._transfer: Transfer | None = None
        self._changed = asyncio.Event()

    async def begin(self, name: str, content_type: str, size: int) -> None:
        """Let the slot admit the file. Raises the error for which it refuses the file."""
        self._manager.connection.owner = self._owner
        self._manager.configure(self._slot)
        registration = Registration(
            upload_name=self._slot.name,
            ref=str(uuid.uuid4()),
            client_name=name,
            client_type=content_type,
            client_size=size,
            client_relative_path="",
            resumable=True,
        )
        self._transfer = await self._manager.admit(registration, self._hear)

    @property
    def _admitted(self) -> Transfer:
        assert self._transfer
        return self._transfer

    async def _hear(self, message: Mapping[str, Any]) -> None:
        self._changed.set()

    async def feed(self, block: bytes) -> None:
        """Take the next bytes, and return when there is room for more of them."""
        client = self._admitted.client
        step = self._slot.chunk_size
        for start in range(0, len(block), step):
            client.append(memoryview(block)[start : start + step])
            if client.overstepped:
                await client.drained()
            self._raise_stopped()

    async def finish(self) -> Held:
        """Return the upload when it is stored. The caller holds it."""
        transfer = self._admitted
        transfer.client.feed_end()
        while not transfer.is_complete:
            self._raise_stopped()
            await self._changed.wait()
            self._changed.clear()
        stack = contextlib.AsyncExitStack()
        stack.push_async_callback(self._manager.aclose)
        stack.enter_context(self._manager.busy_with(transfer.entry))
        claim = receipts.Claim(transfer)

        def ended() -> None:
            if claim.consumed:
                self._manager.roster.remove(transfer.entry.ref)

        stack.callback(ended)
        return Held(claim, receipts.issue(transfer.entry, self._owner), stack)

    def _raise_stopped(self) -> None:
        error: UploadError | None = self._admitted.client.stopped
        if error:
            raise error

    async def drop(self) -> None:
        """End the upload, and return when nothing of it is left."""
        if self._transfer:
            await self._manager.discard(self._transfer.entry.ref)
