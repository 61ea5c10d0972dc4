"""Which uploads a connection admits, and how it refuses the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import wire
from ..exceptions import (
    DuplicateRef,
    InvalidMessage,
    ProtocolError,
    UnknownSlot,
    UploadError,
)
from ..slots.acceptance import check_registration
from ..slots.entry import UploadEntry
from ..transfer.transfer import Listener, Transfer
from . import process

if TYPE_CHECKING:
    from ..slots.slot import UploadSlot
    from .connection import Connection
    from .roster import Roster

logger: logging.Logger = logging.getLogger("djust_uploads")


class Admission:
    """Answers ``upload_register``: admits the file to its slot, or refuses it with a typed error.

    The transfers of admitted files report to ``listener``.
    """

    def __init__(self, roster: Roster, connection: Connection, listener: Listener) -> None:
        self._roster = roster
        self._connection = connection
        self._listener = listener

    async def register(self, message: Mapping[str, Any]) -> None:
        """Answer one ``upload_register`` message."""
        try:
            registration = wire.Registration.parse(message)
        except InvalidMessage as error:
            await self._refuse_message(message.get("ref"), error)
            return
        try:
            transfer = self._admit(registration)
        except UploadError as error:
            await self._refuse(registration, error)
            return
        await self._connection.tell(
            wire.registered(
                registration.ref,
                registration.upload_name,
                offset=transfer.entry.offset,
                limit=transfer.limit,
                chunk_size=transfer.slot.chunk_size,
                max_frame_size=transfer.entry.max_frame_size,
                resumable=transfer.upload_id is not None,
            )
        )

    def _admit(self, registration: wire.Registration) -> Transfer:
        ref, roster = registration.ref, self._roster
        upload_id = self._connection.upload_id(ref) if registration.resumable else None
        if process.parking.get(upload_id):
            raise DuplicateRef(f"{ref} was registered by another connection")
        slot = roster.slots.get(registration.upload_name)
        if slot is None:
            raise UnknownSlot(f"no slot {registration.upload_name!r:.80}")
        if roster.knows(ref):
            raise DuplicateRef(f"{ref} is registered already")
        max_frame_size = self._connection.max_frame_size(slot.chunk_size)
        entry = self._checked(UploadEntry(registration, slot.chunk_size, max_frame_size), slot)
        transfer = Transfer(entry, slot, self._listener, upload_id if slot.resumable else None)
        roster.add(transfer)
        return transfer

    def _checked(self, entry: UploadEntry, slot: UploadSlot) -> UploadEntry:
        try:
            self._roster.check_places(slot, entry.client_size)
            check_registration(slot, entry)
        except UploadError as error:
            entry.fail(error)
            self._roster.show_failed(entry)
            raise
        return entry

    async def _refuse(self, registration: wire.Registration, error: UploadError) -> None:
        ref = registration.ref
        logger.warning("%s refused (%s): %s", ref, error.code, error, exc_info=error.__cause__)
        # The client cannot tell two uploads of one ref apart, so neither may go on as if it were
        # the only one. The transfer of the upload that is on its way tells the client.
        if transfer := self._roster.transfers.get(ref):
            transfer.stop(error)
        elif not self._roster.ended.get(ref):
            self._roster.remember(ref)
            await self._connection.tell(wire.failed(ref, error, registration.upload_name))

    async def _refuse_message(self, ref: object, error: InvalidMessage) -> None:
        try:
            await self.refuse_frame(wire.parse_ref(ref), error)
        except InvalidMessage:
            logger.warning("upload_register: %s", error)
            await self._connection.tell(wire.failed(str(ref)[:64], error))

    async def refuse_frame(self, ref: str, error: ProtocolError) -> None:
        """End the upload that a wrong frame belongs to, and tell the client once."""
        roster = self._roster
        if transfer := roster.transfers.get(ref):
            transfer.stop(error)
        elif not roster.knows(ref):
            roster.remember(ref)
            logger.warning("frame refused (%s): %s", error.code, error)
            await self._connection.tell(wire.failed(ref, error))
