"""Which uploads a connection admits, and how it refuses the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from ..slots.slot import RULES
from ..transfer.transfer import Listener, Transfer
from . import process, takings

if TYPE_CHECKING:
    from ..slots.slot import UploadSlot
    from .authorization import Authorization
    from .connection import Connection
    from .quotas import Quotas
    from .roster import Roster

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The most files of one list. Our own client sends 50.
MAX_FILES = 200

#: Files that are admitted before the event loop has its turn.
_AT_ONCE = 20


@dataclass(frozen=True)
class _Candidate:
    """A file that its slot would take."""

    registration: wire.Registration
    entry: UploadEntry
    slot: UploadSlot
    #: Its name for connections that resume it, or ``None`` if nobody may.
    upload_id: str | None


class Admission:
    """Answers ``upload_register``: admits the file to its slot, or refuses it with a typed error.

    The transfers of admitted files report to ``listener``.
    """

    def __init__(
        self,
        roster: Roster,
        connection: Connection,
        authorization: Authorization,
        quotas: Quotas,
        listener: Listener,
    ) -> None:
        self._roster = roster
        self._connection = connection
        self._authorization = authorization
        self._quotas = quotas
        self._listener = listener

    async def register(self, message: Mapping[str, Any]) -> None:
        """Answer one ``upload_register`` message: of one file, or with a list of files."""
        files = message.get("uploads")
        if not isinstance(files, list):
            for told in await self._answers([message]):
                await self._connection.tell(told)
            return
        if len(files) > MAX_FILES:
            error = InvalidMessage(f"{len(files)} files in one list, over {MAX_FILES}")
            if answer := self._refuse_message(message.get("ref"), error):
                await self._connection.tell(answer)
            return
        self._connection.takes_lists = True
        answers = await self._answers([file for file in files if isinstance(file, dict)])
        await self._connection.tell(wire.together("upload_registered", answers))

    async def _answers(self, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Admit or refuse some files. Return the answers, but for clients that are told otherwise.

        Meanwhile the connection reads nothing, so no byte of a file comes before its answer.
        """
        judged = [self._judged(file) for file in files]
        candidates = [found for found in judged if isinstance(found, _Candidate)]
        errors = iter(await self._refusals(candidates))
        answers = []
        for number, found in enumerate(judged):
            if isinstance(found, _Candidate):
                found = self._answer(found, next(errors))
            if found:
                answers.append(found)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await self._pause(judged[number + 1 :])
        return answers

    async def _pause(self, left: Sequence[object]) -> None:
        """Let the event loop have its turn. If the connection ends meanwhile, the files that are
        ``left`` give back what they have taken of their quotas."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            for candidate in left:
                if isinstance(candidate, _Candidate):
                    takings.give_back(candidate.entry)
            raise

    def _judged(self, message: Mapping[str, Any]) -> _Candidate | dict[str, Any] | None:
        """Return a file that its slot would take, or else the answer."""
        try:
            registration = wire.Registration.parse(message)
        except InvalidMessage as error:
            return self._refuse_message(message.get("ref"), error)
        try:
            return self._candidate(registration)
        except UploadError as error:
            return self._refuse(registration, error)

    def _answer(self, candidate: _Candidate, refusal: UploadError | None) -> dict[str, Any] | None:
        """Admit or refuse a file. Return the answer, unless the client is told otherwise."""
        registration, entry, slot = candidate.registration, candidate.entry, candidate.slot
        try:
            self._check_still_free(candidate, refusal)
        except UploadError as error:
            return self._refuse(registration, error)
        transfer = self._start(Transfer(entry, slot, self._listener, candidate.upload_id))
        return wire.registered(
            registration.ref,
            registration.upload_name,
            offset=entry.offset,
            limit=transfer.limit,
            chunk_size=slot.chunk_size,
            max_frame_size=entry.max_frame_size,
            resumable=candidate.upload_id is not None,
        )

    async def admit(self, registration: wire.Registration) -> Transfer:
        """Admit an upload whose client may go on in any process from now on.

        Raises the :class:`UploadError` for which the slot refuses the file.
        """
        candidate = self._candidate(registration)
        entry, slot, upload_id = candidate.entry, candidate.slot, candidate.upload_id
        [refusal] = await self._refusals([candidate])
        self._check_still_free(candidate, refusal)
        resumed = None
        if upload_id:
            saved = entry.to_save()
            try:
                announced = await Lease.announce(upload_id, saved)
            except asyncio.CancelledError:
                takings.give_back(entry)
                raise
            resumed = (announced, saved) if announced else None
        return self._start(Transfer(entry, slot, self._listener, upload_id, resumed))

    async def _refusals(self, candidates: Sequence[_Candidate]) -> list[UploadError | None]:
        """Return for each file why it is refused, or ``None``.

        Registrations are counted first, so that they cost little more when there are too many.
        """
        refusals: list[UploadError | None] = [None] * len(candidates)
        for check in (self._quotas.count, self._authorization.check_all, self._quotas.take):
            left = [number for number, refusal in enumerate(refusals) if refusal is None]
            uploads = [(candidates[number].slot, candidates[number].entry) for number in left]
            for number, error in zip(left, await check(uploads), strict=True):
                refusals[number] = error
        return refusals

    def _start(self, transfer: Transfer) -> Transfer:
        takings.hold(transfer)
        self._roster.add(transfer)
        return transfer

    def _candidate(self, registration: wire.Registration) -> _Candidate:
        """Return a file that its slot would take, or raise why it would not."""
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
        entry = UploadEntry(registration, slot.chunk_size, max_frame_size)
        try:
            self._roster.check_places(slot, entry.client_size)
            check_registration(slot, entry)
        except UploadError as error:
            self._refused(entry, error)
            raise
        self._authorization.mark(slot, entry)
        entry.notes[RULES] = slot.rules
        return _Candidate(registration, entry, slot, upload_id if slot.resumable else None)

    def _check_still_free(self, candidate: _Candidate, refusal: UploadError | None) -> None:
        """Raise why a file cannot be admitted now: others were while it was asked about."""
        entry = candidate.entry
        try:
            if refusal:
                raise refusal
            if self._roster.knows(entry.ref) or process.parking.get(candidate.upload_id):
                raise DuplicateRef(f"{entry.ref} is registered already")
            self._roster.check_places(candidate.slot, entry.client_size)
        except UploadError as error:
            self._refused(entry, error)
            raise

    def _refused(self, entry: UploadEntry, error: UploadError) -> None:
        takings.give_back(entry)
        moves.refuse(entry, error)
        self._roster.show_failed(entry)

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
