"""How a connection goes on with an upload that another connection began."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from .. import wire
from ..exceptions import (
    InvalidMessage,
    NotResumable,
    SinkUnavailable,
    UploadError,
    UploadLocked,
)
from ..resuming.leases import Lease
from ..slots.acceptance import check_registration
from ..slots.entry import UploadEntry
from ..slots.status import Status
from ..transfer.transfer import Listener, Transfer
from . import process

if TYPE_CHECKING:
    from ..slots.slot import UploadSlot
    from .connection import Connection
    from .roster import Roster

logger: logging.Logger = logging.getLogger("djust_uploads")

T = TypeVar("T")


class Resumption:
    """Answers ``upload_resume``, for uploads that this process has and for saved ones.

    The client may have lost the connection over which it sent the upload. Or that connection still
    lives, and nobody has noticed that it does not lead anywhere.
    """

    def __init__(self, roster: Roster, connection: Connection, listener: Listener) -> None:
        self._roster = roster
        self._connection = connection
        self._listener = listener

    async def resume(self, message: Mapping[str, Any]) -> None:
        """Answer one ``upload_resume`` message."""
        tell = self._connection.tell
        try:
            ref = wire.parse_ref(message.get("ref"))
        except InvalidMessage as error:
            logger.warning("upload_resume: %s", error)
            await tell(wire.not_resumed(str(message.get("ref"))[:64]))
            return
        try:
            await self._resume(ref)
        except UploadLocked:
            await tell(wire.not_resumed(ref, "locked"))
        except NotResumable as error:
            logger.info("%s is not resumed: %s", ref, error)
            await tell(wire.not_resumed(ref))
        except UploadError as error:
            logger.warning("%s is not resumed (%s): %s", ref, error.code, error)
            self._roster.remember(ref)
            await tell(wire.failed(ref, error))

    async def _resume(self, ref: str) -> None:
        if ref in self._roster.entries:
            raise UploadLocked("it is on its way on this connection")
        upload_id = self._connection.upload_id(ref)
        if upload_id is None:
            raise NotResumable("the connection has no user and no session")
        async with process.parking.alone(upload_id):
            if transfer := await self._of_this_process(upload_id):
                if transfer.entry.status is Status.CONSUMED:
                    # Its handler has just returned, or goes on with other entries.
                    await self._refuse_consumed(transfer.entry.upload_name, ref)
                self._checked_slot(transfer.entry)
                transfer.listener.surrender(transfer)
                await self._adopt(transfer)
            else:
                await self._resume_saved(ref, upload_id)

    async def _of_this_process(self, upload_id: str) -> Transfer | None:
        """Return the upload if this process has it, and no other process has taken it over."""
        parking = process.parking
        while transfer := parking.get(upload_id):
            if transfer.suspending:
                await transfer.wait_ended()
                continue
            superseded = await transfer.superseded()
            if parking.get(upload_id) is not transfer or transfer.suspending:
                # The upload ended while we asked.
                continue
            if not superseded:
                return transfer
            self._let_go(transfer)
        return None

    def _let_go(self, transfer: Transfer) -> None:
        """Drop an upload that another process has taken over."""
        if transfer.is_complete:
            transfer.listener.surrender(transfer)
            process.parking.forget(transfer)
        else:
            process.parking.forget(transfer)
            # The end of the transfer is not awaited, because its sink may hang.
            transfer.stop(UploadLocked("another process has resumed it"))

    async def _adopt(self, transfer: Transfer) -> None:
        """Take an upload of this process, which was parked or had another connection."""
        roster, entry = self._roster, transfer.entry
        roster.ended.pop(entry.ref, None)
        transfer.slot = roster.slots[entry.upload_name]
        entry.max_frame_size = self._connection.max_frame_size(entry.chunk_size)
        transfer.attach(self._listener)
        if transfer.is_complete:
            roster.remember(entry.ref, failed=False)
            roster.entries[entry.ref] = entry
        else:
            roster.add(transfer)
        if not entry.restored:
            # The transfer answers when it has found out how many bytes are stored.
            return
        await self._connection.tell(transfer.answer_resume())
        if transfer.is_complete:
            await transfer.report()

    async def _resume_saved(self, ref: str, upload_id: str) -> None:
        saved = await _answer_of_cache(Lease.find(upload_id))
        if saved and saved.status in ("uploading", "complete"):
            # The checks come before the takeover: a connection that may not have the upload must
            # not take it from another one.
            self._checked_slot(UploadEntry.saved(saved))
        superseded = await _answer_of_cache(Lease.supersede(upload_id))
        if superseded is None:
            raise NotResumable("nothing is known of it")
        lease, saved = superseded
        if saved.status == "consumed":
            await self._refuse_consumed(saved.upload_name, ref)
        if saved.status == "error":
            await _answer_of_cache(lease.end())
            self._roster.remember(ref)
            await self._connection.tell(
                wire.failed_before(ref, saved.upload_name, saved.code, saved.error)
            )
            return
        entry = UploadEntry.saved(saved)
        entry.max_frame_size = self._connection.max_frame_size(entry.chunk_size)
        slot = self._checked_slot(entry)
        # The transfer answers when it has found out how many bytes are stored.
        self._roster.add(Transfer(entry, slot, self._listener, upload_id, (lease, saved)))

    def _checked_slot(self, entry: UploadEntry) -> UploadSlot:
        """Return the slot of an upload that is to be resumed, if the slot takes it."""
        slot = self._roster.slots.get(entry.upload_name)
        if slot is None or not slot.resumable:
            raise NotResumable(f"no resumable slot {entry.upload_name!r}")
        self._roster.check_places(slot, entry.client_size)
        check_registration(slot, entry)
        return slot

    async def _refuse_consumed(self, upload_name: str, ref: str) -> NoReturn:
        await self._connection.tell(wire.consumed(upload_name, [ref]))
        raise NotResumable("the application has the file")


async def _answer_of_cache(call: Awaitable[T]) -> T:
    """Await a question to the resume cache. Raises :class:`SinkUnavailable` if it fails."""
    try:
        return await call
    except UploadLocked:
        raise
    except Exception as exc:
        raise SinkUnavailable(f"the resume cache failed: {exc!r}") from exc
