"""How a connection goes on with an upload that another connection began."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import wire
from ..exceptions import (
    InvalidMessage,
    NotComplete,
    NotResumable,
    SinkUnavailable,
    UploadError,
    UploadLocked,
)
from ..resuming.leases import Lease
from ..slots.acceptance import check_registration
from ..slots.entry import UploadEntry
from ..slots.slot import RULES
from ..slots.status import Status
from ..transfer.transfer import Listener, Transfer
from . import process, takings

if TYPE_CHECKING:
    from ..resuming.saved import SavedUpload
    from ..slots.slot import UploadSlot
    from .authorization import Authorization
    from .connection import Connection
    from .roster import Roster

logger: logging.Logger = logging.getLogger("djust_uploads")

T = TypeVar("T")


class Resumption:
    """Answers ``upload_resume``, for uploads that this process has and for saved ones.

    The connection over which the client sent the upload before may have ended. It may also still
    exist here, because nobody has noticed that the client cannot be reached over it.
    """

    def __init__(
        self,
        roster: Roster,
        connection: Connection,
        authorization: Authorization,
        listener: Listener,
    ) -> None:
        self._roster = roster
        self._connection = connection
        self._authorization = authorization
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
            transfer = await self.take_over(ref)
            if transfer.entry.restored:
                await self._answer(transfer)
            # Otherwise the transfer answers when it knows how many bytes are stored.
        except UploadLocked:
            await tell(wire.not_resumed(ref, "locked"))
        except AlreadyConsumed as error:
            await tell(wire.consumed(error.saved.upload_name, [ref]))
            await tell(wire.not_resumed(ref))
        except NotResumable as error:
            logger.info("%s is not resumed: %s", ref, error)
            await tell(wire.not_resumed(ref))
        except UploadError as error:
            logger.warning("%s is not resumed (%s): %s", ref, error.code, error)
            self._roster.remember(ref)
            await tell(wire.failed(ref, error, getattr(error, "upload_name", "")))

    async def _answer(self, transfer: Transfer) -> None:
        await self._connection.tell(transfer.answer_resume())
        if transfer.is_complete:
            await transfer.report()

    async def take_over(self, ref: str) -> Transfer:
        """Take an upload of this connection's owner, which this or another process has.

        Raises :class:`NotResumable` if there is none in a slot of this connection,
        :class:`AlreadyConsumed` if the application has its file, :class:`UploadLocked` if it cannot
        be taken at the moment, the error for which the owner may not go on with it, and the error
        with which it ended if nobody was told of it.
        """
        if ref in self._roster.entries:
            raise UploadLocked("it is on its way on this connection")
        upload_id = self._connection.upload_id(ref)
        if upload_id is None:
            raise NotResumable("the connection has no user and no session")
        async with process.parking.alone(upload_id):
            # This comes first: while the application thinks about it, the upload may end.
            if parked := process.parking.get(upload_id):
                await self._authorize(parked.entry)
            if transfer := await self._of_this_process(upload_id):
                if transfer.entry.status is Status.CONSUMED:
                    # Its handler has just returned, or goes on with other entries.
                    raise AlreadyConsumed(transfer.entry.to_save())
                self._checked_slot(transfer.entry)
                transfer.listener.surrender(transfer)
                self._adopt(transfer)
                return transfer
            return await self._take_saved(ref, upload_id)

    async def check_complete(self, ref: str) -> None:
        """Raises :class:`NotComplete` for an upload that is on its way, and leaves it there."""
        upload_id = self._connection.upload_id(ref)
        if upload_id is None:
            raise NotResumable("the connection has no user and no session")
        transfer = process.parking.get(upload_id)
        if transfer and not await transfer.superseded():
            on_its_way = not transfer.entry.all_received
        else:
            saved = await _answer_of_cache(Lease.find(upload_id))
            on_its_way = saved is not None and saved.status in ("registered", "uploading")
        if on_its_way:
            raise NotComplete(f"{ref} is on its way")

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
            transfer.leave()
        else:
            process.parking.forget(transfer)
            # The end of the transfer is not awaited, because its sink may hang.
            transfer.stop(UploadLocked("another process has resumed it"))

    def _adopt(self, transfer: Transfer) -> None:
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

    async def _take_saved(self, ref: str, upload_id: str) -> Transfer:
        saved = await _answer_of_cache(Lease.find(upload_id))
        if saved and saved.status in ("registered", "uploading", "complete"):
            # The checks come before the takeover: a connection that may not have the upload must
            # not take it from another one.
            entry = UploadEntry.saved(saved)
            self._checked_slot(entry)
            await self._authorize(entry)
        superseded = await _answer_of_cache(Lease.supersede(upload_id))
        if superseded is None:
            raise NotResumable("nothing is known of it")
        lease, saved = superseded
        if saved.status == "consumed":
            raise AlreadyConsumed(saved)
        if saved.status == "error":
            await _answer_of_cache(lease.end())
            raise EndedBefore(saved)
        entry = UploadEntry.saved(saved)
        entry.max_frame_size = self._connection.max_frame_size(entry.chunk_size)
        slot = self._checked_slot(entry)
        if saved.status == "complete":
            takings.forget_places(entry)
        else:
            await takings.adopt(entry, saved.saved_at)
        transfer = Transfer(entry, slot, self._listener, upload_id, (lease, saved))
        takings.hold(transfer)
        self._roster.add(transfer)
        return transfer

    async def _authorize(self, entry: UploadEntry) -> None:
        if slot := self._roster.slots.get(entry.upload_name):
            await self._authorization.check(slot, entry)

    def _checked_slot(self, entry: UploadEntry) -> UploadSlot:
        """Return the slot of an upload that is to be resumed, if the slot takes it."""
        slot = self._roster.slots.get(entry.upload_name)
        if slot is None or not slot.resumable:
            raise NotResumable(f"no resumable slot {entry.upload_name!r}")
        self._roster.check_places(slot, entry.client_size)
        check_registration(slot, entry)
        if not self._connection.holds_one and entry.notes.get(RULES, slot.rules) != slot.rules:
            # What has been looked at already is not looked at again.
            raise NotResumable(f"another slot {entry.upload_name!r} has judged it by other rules")
        return slot


class AlreadyConsumed(NotResumable):
    """The application has the file of the upload. ``saved`` is what is known of it."""

    def __init__(self, saved: SavedUpload) -> None:
        super().__init__("the application has the file")
        self.saved: SavedUpload = saved


class EndedBefore(UploadError):
    """The upload failed when no client was there to be told. It has that error's code."""

    def __init__(self, saved: SavedUpload) -> None:
        super().__init__("it had failed before", message=saved.error)
        self.code: str = saved.code
        self.upload_name: str = saved.upload_name


async def _answer_of_cache(call: Awaitable[T]) -> T:
    """Await a question to the resume cache. Raises :class:`SinkUnavailable` if it fails."""
    try:
        return await call
    except UploadLocked:
        raise
    except Exception as exc:
        raise SinkUnavailable(f"the resume cache failed: {exc!r}") from exc
