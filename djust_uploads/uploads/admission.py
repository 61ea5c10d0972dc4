"""Which uploads a connection admits, and how it refuses the others."""

from __future__ import annotations

import asyncio
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
from ..lifecycle import moves
from ..lifecycle.logs import refusal_fields
from ..resuming.leases import Lease
from ..slots.acceptance import check_registration
from ..slots.entry import UploadEntry
from ..transfer.transfer import Listener, Transfer
from . import process

if TYPE_CHECKING:
    from ..slots.slot import UploadSlot
    from .connection import Connection
    from .roster import Roster

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The most files of one list. Our own client sends 50.
MAX_FILES = 200

#: Files that are admitted before the event loop has its turn.
_AT_ONCE = 20


class Admission:
    """Answers ``upload_register``: admits the file to its slot, or refuses it with a typed error.

    The transfers of admitted files report to ``listener``.
    """

    def __init__(self, roster: Roster, connection: Connection, listener: Listener) -> None:
        self._roster = roster
        self._connection = connection
        self._listener = listener

    async def register(self, message: Mapping[str, Any]) -> None:
        """Answer one ``upload_register`` message: of one file, or with a list of files."""
        files = message.get("uploads")
        if not isinstance(files, list):
            if answer := self._answer(message):
                await self._connection.tell(answer)
            return
        if len(files) > MAX_FILES:
            error = InvalidMessage(f"{len(files)} files in one list, over {MAX_FILES}")
            if answer := self._refuse_message(message.get("ref"), error):
                await self._connection.tell(answer)
            return
        self._connection.takes_lists = True
        answers = []
        for number, file in enumerate(files):
            if isinstance(file, dict) and (answer := self._answer(file)):
                answers.append(answer)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        await self._connection.tell(wire.together("upload_registered", answers))

    def _answer(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Admit or refuse one file. Return the answer, unless the client is told otherwise."""
        try:
            registration = wire.Registration.parse(message)
        except InvalidMessage as error:
            return self._refuse_message(message.get("ref"), error)
        try:
            entry, slot, upload_id = self._admit(registration)
        except UploadError as error:
            return self._refuse(registration, error)
        transfer = self._start(Transfer(entry, slot, self._listener, upload_id))
        return wire.registered(
            registration.ref,
            registration.upload_name,
            offset=entry.offset,
            limit=transfer.limit,
            chunk_size=slot.chunk_size,
            max_frame_size=entry.max_frame_size,
            resumable=upload_id is not None,
        )

    async def admit(self, registration: wire.Registration) -> Transfer:
        """Admit an upload whose client may go on in any process from now on.

        Raises the :class:`UploadError` for which the slot refuses the file.
        """
        entry, slot, upload_id = self._admit(registration)
        resumed = None
        if upload_id:
            saved = entry.to_save()
            announced = await Lease.announce(upload_id, saved)
            resumed = (announced, saved) if announced else None
        return self._start(Transfer(entry, slot, self._listener, upload_id, resumed))

    def _start(self, transfer: Transfer) -> Transfer:
        self._roster.add(transfer)
        return transfer

    def _admit(self, registration: wire.Registration) -> tuple[UploadEntry, UploadSlot, str | None]:
        """Return the entry, its slot, and its name for connections that resume it."""
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
        return entry, slot, upload_id if slot.resumable else None

    def _checked(self, entry: UploadEntry, slot: UploadSlot) -> UploadEntry:
        try:
            self._roster.check_places(slot, entry.client_size)
            check_registration(slot, entry)
        except UploadError as error:
            moves.refuse(entry, error)
            self._roster.show_failed(entry)
            raise
        return entry

    def _refuse(self, registration: wire.Registration, error: UploadError) -> dict[str, Any] | None:
        ref = registration.ref
        if isinstance(error, ProtocolError):
            # There is no entry, of which the observers could have heard.
            extra = refusal_fields(ref, registration.upload_name, error.code)
            logger.warning("%s refused (%s): %s", ref, error.code, error, extra=extra)
        # The client cannot distinguish two uploads with the same ref, so neither of them may go on.
        # If one is on its way, its transfer ends and tells the client.
        if transfer := self._roster.transfers.get(ref):
            transfer.stop(error)
        elif not self._roster.ended.get(ref):
            self._roster.remember(ref)
            return wire.failed(ref, error, registration.upload_name)
        return None

    def _refuse_message(self, ref: object, error: InvalidMessage) -> dict[str, Any] | None:
        try:
            return self._end(wire.parse_ref(ref), error)
        except InvalidMessage:
            logger.warning("upload_register: %s", error)
            return wire.failed(str(ref)[:64], error)

    async def refuse_frame(self, ref: str, error: ProtocolError) -> None:
        """End the upload that a wrong frame belongs to, and tell the client once."""
        if answer := self._end(ref, error):
            await self._connection.tell(answer)

    def _end(self, ref: str, error: ProtocolError) -> dict[str, Any] | None:
        roster = self._roster
        if transfer := roster.transfers.get(ref):
            transfer.stop(error)
        elif not roster.knows(ref):
            roster.remember(ref)
            logger.warning("refused (%s): %s", error.code, error)
            return wire.failed(ref, error)
        return None
