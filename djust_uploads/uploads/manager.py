"""``UploadManager``: the uploads of one connection.

A handler may run in a worker thread while frames arrive on the event loop. The methods that a
handler calls (:meth:`UploadManager.consume`, :meth:`~UploadManager.cancel`,
:meth:`~UploadManager.turn`) only change dictionaries and lists, and the GIL makes each change one
step. Everything that awaits runs on the event loop on which the client's first message arrived.
Before that message there is no loop, no task and no file. So a view that is only rendered costs
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import wire
from ..exceptions import (
    ProtocolError,
    UnknownUpload,
    UploadCancelled,
    UploadError,
    UploadLocked,
)
from ..slots.entry import UploadEntry
from ..slots.slot import UploadSlot
from ..slots.status import Status
from ..transfer.transfer import Transfer
from ..wire import FrameType
from . import process
from .admission import Admission
from .authorization import Authorization
from .connection import Connection, Send
from .consuming import ConsumedEntries, Consumption
from .disposal import Disposal
from .gate import AuthorizationGate
from .quotas import Quotas
from .resumption import Resumption
from .roster import Roster
from .watch import SessionWatch

#: Seconds that a connection which has ended waits until its uploads are saved. daphne gives a
#: connection 10 seconds to end.
SETTLE_TIMEOUT = 8.0

#: The statuses that a client need not hear of at once.
_COLLECTED = (Status.FINALIZING, Status.COMPLETE)


class UploadManager:
    """Manages the uploads of one connection.

    The first ``allow_upload()`` creates the manager. It is closed when the connection or the view
    ends. A door passes it the messages and frames of the client. Each part of the work has a class
    of its own: :class:`~.admission.Admission`, :class:`~.resumption.Resumption`,
    :class:`~.consuming.Consumption` and :class:`~.disposal.Disposal`.
    """

    #: A transfer that reports to a manager has a connection.
    attached = True

    #: Seconds beyond ``IDLE_TIMEOUT`` for which its transfers wait for a silent client.
    patience: float = 0.0

    def __init__(self) -> None:
        self.roster: Roster = Roster()
        self.connection: Connection = Connection()
        self.authorization: Authorization = Authorization()
        parts = self.roster, self.connection, self.authorization
        self._admission = Admission(*parts, Quotas(self.authorization), self)
        self._resumption = Resumption(*parts, self)
        self._consumption = Consumption(self.roster.take_out)
        self._disposal = Disposal(self.connection)
        self._watch = SessionWatch(*parts)
        self._closing = False
        self._busy: set[str] = set()

    # The connection calls these on its event loop.

    async def register(self, message: Mapping[str, Any], send: Send) -> None:
        """Answer ``upload_register``: admit the file, or refuse it with a typed error."""
        self.connection.reach(send)
        await self._admission.register(message)
        await self._after_looking()

    async def resume(self, message: Mapping[str, Any], send: Send) -> None:
        """Answer ``upload_resume``: go on with an upload of another connection, or say why not."""
        self.connection.reach(send)
        await self._resumption.resume(message)
        await self._after_looking()

    async def _after_looking(self) -> None:
        if self.authorization.ended:
            await self._watch.end()
        else:
            self._watch.begin()

    async def end_session(self) -> None:
        """Tell the client that its session has ended, and end the connection.

        The uploads that can be resumed wait for their owner to log in again. May be called again.
        """
        await self._watch.end()

    def keep(self, message: Mapping[str, Any]) -> None:
        """Note that the client of these uploads is there, though it sends nothing of them.

        Its user has paused them.
        """
        refs = message.get("refs")
        for ref in refs if isinstance(refs, list) else ():
            if isinstance(ref, str) and (transfer := self.roster.transfers.get(ref)):
                transfer.client.wake()

    async def admit(self, registration: wire.Registration, send: Send) -> Transfer:
        """Admit a file whose client may go on in any process. The answer is not sent but returned.

        ``send`` is called whenever the upload has something to tell. Raises the
        :class:`~djust_uploads.exceptions.UploadError` for which the slot refuses the file.
        """
        self.connection.reach(send)
        transfer = await self._admission.admit(registration)
        self._watch.begin()
        return transfer

    async def take_over(self, ref: str, send: Send) -> Transfer:
        """Go on with an upload of another connection. The answer is not sent but returned.

        The upload's ``entry.restored`` may come later. Raises what
        :meth:`.resumption.Resumption.take_over` raises.
        """
        self.connection.reach(send)
        transfer = await self._resumption.take_over(ref)
        self._watch.begin()
        return transfer

    async def check_complete(self, ref: str) -> None:
        """Raises :class:`~djust_uploads.exceptions.NotComplete` for an upload that is on its way.

        The upload is not taken over.
        """
        await self._resumption.check_complete(ref)

    async def discard(self, ref: str) -> None:
        """Do what :meth:`cancel` does, and return when nothing of the upload is left."""
        transfer, entry = self.roster.transfers.get(ref), self.roster.entries.pop(ref, None)
        if transfer:
            transfer.stop(UploadCancelled("cancelled"))
            await transfer.wait_ended()
        elif entry:
            await self._disposal.cancelled(entry)

    async def receive(self, data: bytes, send: Send, *, slows: bool = True) -> None:
        """Take a binary frame, and return when the next frame may be read.

        That is at once, unless the client has overstepped its limit. Then this waits, if ``slows``
        says that waiting slows the client down. A wrong frame only ends its own entry.
        """
        self.connection.reach(send)
        if self.authorization.ended:
            return
        try:
            frame = wire.parse(data)
        except ProtocolError as error:
            await self._admission.refuse_frame(wire.ref_of(data), error)
            return
        transfer = self.roster.transfers.get(frame.ref)
        if transfer is None:
            await self._receive_late(frame)
        elif frame.type in wire.CHUNKS:
            client = transfer.client
            client.feed(frame.index, frame.data)
            if client.overstepped:
                await client.room(slows=slows)
        elif frame.type is FrameType.COMPLETE:
            transfer.client.feed_end()
        else:
            # The entry is cancelled, and not only its transfer, so that its place is free for the
            # next file that the client registers.
            self.cancel(frame.ref)

    async def _receive_late(self, frame: wire.Frame) -> None:
        """Take a frame for an entry that is complete, has ended, or is unknown."""
        if frame.ref in self.roster.entries:
            # Only a cancel means something to a complete entry.
            if frame.type is FrameType.CANCEL:
                self.cancel(frame.ref)
        elif frame.ref not in self.roster.ended:
            error = UnknownUpload(f"no upload {frame.ref}")
            await self._admission.refuse_frame(frame.ref, error)

    async def aclose(self) -> None:
        """Park the uploads that can be resumed. End the others, and delete unconsumed files.

        May be called again.
        """
        self._watch.stop()
        transfers = list(self.roster.transfers.values())
        resumable = [transfer for transfer in transfers if transfer.upload_id]
        others = [transfer for transfer in transfers if not transfer.upload_id]
        for transfer in resumable:
            self._park(transfer)
        for transfer in others:
            transfer.stop(UploadCancelled("the connection ended"))
        for transfer in others:
            await transfer.wait_ended()
        await self._wait_settled(resumable)
        if self._consumption.running:
            # A handler that outlives its connection still reads its files. When it returns, turn()
            # calls this method again.
            self._closing = True
            return
        unconsumed = [entry for entry in self.roster.entries.values() if entry.complete]
        self.roster.entries.clear()
        await self._disposal.unconsumed(unconsumed)
        await self._disposal.consumed(self._consumption.take_consumed())

    async def _wait_settled(self, parked: Sequence[Transfer]) -> None:
        """Wait until parked transfers are saved.

        A server that is told to stop waits for its connections. Then it cancels whatever still
        runs: parked transfers, and what their sinks are sending.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):
                for transfer in parked:
                    await transfer.wait_settled()

    def _park(self, transfer: Transfer) -> None:
        """Leave a transfer to a client that may come back."""
        self.roster.remove(transfer.entry.ref)
        process.parking.park(transfer, self.connection.owner or "")

    # A transfer calls these on its listener.

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises an exception if the connection is known to be gone.

        Of many small files, the client hears together that they are there.
        """
        if self.connection.takes_lists and message.get("status") in _COLLECTED:
            self.connection.collect(message)
        else:
            await self.connection.send(message)

    def transfer_ended(self, transfer: Transfer) -> None:
        """Note that an entry is complete, or has its final status."""
        entry, roster = transfer.entry, self.roster
        del roster.transfers[entry.ref]
        roster.remember(entry.ref, failed=not transfer.is_complete)
        if not transfer.is_complete:
            process.parking.forget(transfer)
            roster.take_out(entry)
        elif entry.ref not in roster.entries:
            # A handler's thread cancelled the entry at the moment at which it became complete.
            self.connection.spawn(lambda: self._disposal.cancelled(entry))
        if entry.status is Status.ERROR:
            roster.show_failed(entry)

    def lost(self, transfer: Transfer) -> None:
        """Note that the connection is gone, though nobody has said so yet.

        A connection that resumes the upload must not share it with this one.
        """
        if self.roster.transfers.get(transfer.entry.ref) is transfer:
            self.roster.remember(transfer.entry.ref)
            self._park(transfer)

    def surrender(self, transfer: Transfer) -> None:
        """Give an upload up to another connection of the same owner.

        Raises :class:`UploadLocked` while a handler of this connection has the file.
        """
        entry = transfer.entry
        if self._consumption.in_hand(entry) or entry.ref in self._busy:
            raise UploadLocked("the application has it in hand")
        self.roster.remove(entry.ref)
        self.roster.remember(entry.ref)
        if entry.restored:
            error = UploadLocked("another connection has resumed it")
            message = wire.failed(entry.ref, error, entry.upload_name)
        else:
            # The client still waits for the answer to its own upload_resume.
            message = wire.not_resumed(entry.ref, "locked")
        # The message is not awaited: on a connection that is half open, nobody reads it.
        self.connection.spawn(lambda: self.connection.tell(message))

    # The application calls these, on the event loop or in a handler's thread.

    def configure(self, slot: UploadSlot) -> None:
        """Add a slot, or replace the slot of that name. Entries on their way keep their slot."""
        self.roster.slots[slot.name] = slot

    def entries(self, name: str) -> list[UploadEntry]:
        """Return the slot's entries in the order of selection, then the failed ones."""
        return self.roster.all(name)

    def client_configs(self) -> dict[str, dict[str, Any]]:
        """Return what the browser needs to know about each slot."""
        return self.roster.client_configs()

    def get_upload_state(self) -> dict[str, Any]:
        """Return ``{{ uploads }}`` for templates.

        djust calls this method too, to get the slots' configs for its mount message. So its name
        must not change.
        """
        return self.roster.template_state()

    def cancel(self, ref: str) -> None:
        """Drop an entry: stop it if it is on its way, delete its file if it is complete."""
        entry = self.roster.entries.pop(ref, None)
        if entry is None:
            return
        if transfer := self.roster.transfers.get(ref):
            self.connection.soon(transfer.stop, UploadCancelled("cancelled"))
        else:
            self.connection.spawn(lambda: self._disposal.cancelled(entry))

    def consume(self, name: str) -> ConsumedEntries:
        """Return the slot's complete entries; see
        :meth:`~djust_uploads.UploadMixin.consume_uploaded_entries`."""
        self.roster.check_enough(name)
        return ConsumedEntries(self._consumption, self.roster.live(name), self._gate(name))

    def _gate(self, name: str) -> AuthorizationGate | None:
        authorization, slot = self.authorization, self.roster.slots.get(name)
        if slot is None or not (authorization.requester or authorization.asks(slot)):
            return None
        return AuthorizationGate(authorization, slot, self._refuse_complete)

    def _refuse_complete(self, entry: UploadEntry, error: UploadError) -> None:
        if self.roster.take_out(entry):
            self.roster.show_failed(entry)
            self._disposal.refuse(entry, error)

    @contextlib.contextmanager
    def busy_with(self, entry: UploadEntry) -> Iterator[None]:
        """Let no other connection have the entry while the application looks at it."""
        self._busy.add(entry.ref)
        try:
            yield
        finally:
            self._busy.discard(entry.ref)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Run one event handler inside.

        When the handler returns, the entries that it has in hand are consumed. When it raises, they
        stay. The files of consumed entries are there until the handler has ended.
        """
        consumption = self._consumption
        consumption.begin()
        try:
            yield
            consumption.returned()
        finally:
            consumption.end()
            if not consumption.running:
                if self.authorization.ended:
                    self.connection.spawn(self.end_session)
                if self._closing:
                    self.close_soon()
                elif consumed := consumption.take_consumed():
                    self.connection.spawn(lambda: self._disposal.consumed(consumed))

    def close_soon(self) -> None:
        """Call :meth:`aclose` from code that cannot await."""
        if self.connection.reached:
            self.connection.spawn(self.aclose)
