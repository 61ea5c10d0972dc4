"""One connection's slots and entries.

Handlers may run in a worker thread while frames arrive on the event loop. What a handler calls
(:meth:`UploadManager.consume`, :meth:`~UploadManager.cancel`, :meth:`~UploadManager.turn`) only
changes dictionaries and lists, each change one step under the GIL, and leaves everything that
awaits to the loop that the first registration came from. Before that registration there is no loop,
no task and no file: a view that is only rendered costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, NoReturn, TypeVar

from .. import wire
from ..exceptions import (
    DuplicateRef,
    InvalidMessage,
    NotResumable,
    ProtocolError,
    SinkUnavailable,
    TooManyFiles,
    UnknownSlot,
    UnknownUpload,
    UploadCancelled,
    UploadError,
    UploadLocked,
)
from ..resuming.leases import Lease, upload_id_of
from ..resuming.parking import parking
from ..slots.acceptance import check_registration
from ..slots.entry import UploadEntry
from ..slots.slot import UploadSlot
from ..slots.status import Status
from ..transfer.transfer import Transfer
from ..wire import FrameType, Registration
from .consuming import ConsumedEntries, Consumption

logger = logging.getLogger("djust_uploads")

#: Refs to remember after their end, so that late frames are dropped instead of reported again.
_REMEMBERED_REFS = 4096

T = TypeVar("T")

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: Seconds that a connection that ended waits until its uploads are saved. daphne gives it 10.
SETTLE_TIMEOUT = 8.0

#: asyncio holds tasks weakly; these must end even if their manager is gone.
_background: set[asyncio.Task[Any]] = set()


class UploadManager:
    """Created by the first ``allow_upload()``; closed when the connection or the view ends.

    ``owner``: whose uploads these are, see :func:`~djust_uploads.resuming.leases.owner_of`; without
    one they end with the connection.
    """

    #: A transfer that reports to us has a connection.
    attached = True

    def __init__(self) -> None:
        self.owner: str | None = None
        self.slots: dict[str, UploadSlot] = {}
        #: On their way, or complete and not consumed; in the order of selection.
        self._entries: dict[str, UploadEntry] = {}
        self._transfers: dict[str, Transfer] = {}
        self._failed: dict[str, deque[UploadEntry]] = {}
        #: Refs that ended → whether with an error, which is told once for a ref.
        self._ended: dict[str, bool] = {}
        self._consumption = Consumption(self._take_out)
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._send: Send | None = None

    # What the connection calls, on its event loop.

    async def register(self, message: Mapping[str, Any], send: Send) -> None:
        """Answer ``upload_register``: the entry is admitted, or refused with a typed error."""
        self._loop, self._send = asyncio.get_running_loop(), send
        try:
            registration = Registration.parse(message)
        except InvalidMessage as error:
            await self._refuse_message(message.get("ref"), error)
            return
        upload_id = self._upload_id(registration.ref) if registration.resumable else None
        try:
            if parking.get(upload_id):
                raise DuplicateRef(f"{registration.ref} was registered by another connection")
            slot, entry = self._admit(registration)
        except UploadError as error:
            await self._refuse(registration, error)
            return
        transfer = Transfer(entry, slot, self, upload_id if slot.resumable else None)
        self._add(transfer)
        await self._tell(
            wire.registered(
                entry.ref,
                entry.upload_name,
                offset=entry.offset,
                limit=transfer.limit,
                chunk_size=slot.chunk_size,
                resumable=transfer.upload_id is not None,
            )
        )

    def _upload_id(self, ref: str) -> str | None:
        return upload_id_of(self.owner, ref) if self.owner else None

    def _resumable(self, entry: UploadEntry) -> Transfer | None:
        """What others may resume of it. The client may have given its ref to another upload too, of
        another connection or one that is not resumable."""
        transfer = parking.get(self._upload_id(entry.ref))
        return transfer if transfer and transfer.entry is entry else None

    def _add(self, transfer: Transfer) -> None:
        self._entries[transfer.entry.ref] = transfer.entry
        self._transfers[transfer.entry.ref] = transfer
        parking.add(transfer)

    def _admit(self, registration: Registration) -> tuple[UploadSlot, UploadEntry]:
        ref = registration.ref
        slot = self.slots.get(registration.upload_name)
        if slot is None:
            raise UnknownSlot(f"no slot {registration.upload_name!r:.80}")
        if ref in self._entries or ref in self._transfers or ref in self._ended:
            raise DuplicateRef(f"{ref} is registered already")
        entry = UploadEntry(registration, slot.chunk_size)
        try:
            self._check_places(slot)
            check_registration(slot, entry)
        except UploadError as error:
            entry.fail(error)
            self._show_failed(entry)
            raise
        return slot, entry

    def _check_places(self, slot: UploadSlot) -> None:
        # A cancelled entry frees its place at once, but its transfer may take a while to end.
        running = sum(t.slot.name == slot.name for t in self._transfers.values())
        if len(self._live(slot.name)) >= slot.max_entries or running >= 2 * slot.max_entries:
            raise TooManyFiles(f"{slot.name!r} is full: {slot.max_entries}")

    async def _refuse(self, registration: Registration, error: UploadError) -> None:
        logger.warning(
            "%s refused (%s): %s", registration.ref, error.code, error, exc_info=error.__cause__
        )
        # The client can't tell two uploads of one ref apart, so neither may go on as if it were the
        # only one. The one on its way tells the client.
        if transfer := self._transfers.get(registration.ref):
            transfer.stop(error)
        elif not self._ended.get(registration.ref):
            self._remember(registration.ref)
            await self._tell(wire.failed(registration.ref, error, registration.upload_name))

    async def _refuse_message(self, ref: object, error: InvalidMessage) -> None:
        try:
            await self._refuse_frame(wire.parse_ref(ref), error)
        except InvalidMessage:
            logger.warning("upload_register: %s", error)
            await self._tell(wire.failed(str(ref)[:64], error))

    async def receive(self, data: bytes, send: Send, *, slows: bool = True) -> None:
        """Take a binary frame. Returns when the next one may be read, which is at once unless the
        client oversteps its limit and waiting ``slows`` it down. Whatever is wrong with the frame
        ends its entry, not us."""
        self._send = send
        try:
            frame = wire.parse(data)
        except InvalidMessage as error:
            await self._refuse_frame(wire.ref_of(data), error)
            return
        transfer = self._transfers.get(frame.ref)
        if transfer is None:
            await self._receive_late(frame)
        elif frame.type is FrameType.CHUNK:
            transfer.feed(frame.index, frame.data)
            if transfer.overstepped:
                await transfer.room(slows=slows)
        elif frame.type is FrameType.COMPLETE:
            transfer.feed_end()
        else:
            # By way of the entry, so that its place is free for what the client registers next.
            self.cancel(frame.ref)

    async def _receive_late(self, frame: wire.Frame) -> None:
        """A frame for an entry that is complete (only a cancel matters then), ended or unknown."""
        if frame.ref in self._entries:
            if frame.type is FrameType.CANCEL:
                self.cancel(frame.ref)
        elif frame.ref not in self._ended:
            await self._refuse_frame(frame.ref, UnknownUpload(f"no upload {frame.ref}"))

    async def _refuse_frame(self, ref: str, error: ProtocolError) -> None:
        if transfer := self._transfers.get(ref):
            transfer.stop(error)
        elif ref not in self._entries and ref not in self._ended:
            self._remember(ref)
            logger.warning("frame refused (%s): %s", error.code, error)
            await self._tell(wire.failed(ref, error))

    async def resume(self, message: Mapping[str, Any], send: Send) -> None:
        """Answer ``upload_resume``: the client lost the connection over which it sent this upload,
        or doesn't know that, and goes on over ours."""
        self._loop, self._send = asyncio.get_running_loop(), send
        try:
            ref = wire.parse_ref(message.get("ref"))
        except InvalidMessage as error:
            logger.warning("upload_resume: %s", error)
            await self._tell(wire.not_resumed(str(message.get("ref"))[:64]))
            return
        try:
            await self._resume(ref)
        except UploadLocked:
            await self._tell(wire.not_resumed(ref, "locked"))
        except NotResumable as error:
            logger.info("%s is not resumed: %s", ref, error)
            await self._tell(wire.not_resumed(ref))
        except UploadError as error:
            logger.warning("%s is not resumed (%s): %s", ref, error.code, error)
            self._remember(ref)
            await self._tell(wire.failed(ref, error))

    async def _resume(self, ref: str) -> None:
        if ref in self._entries:
            raise UploadLocked("it is on its way on this connection")
        upload_id = self._upload_id(ref)
        if upload_id is None:
            raise NotResumable("the connection has no user and no session")
        async with parking.alone(upload_id):
            if transfer := await self._of_this_process(upload_id):
                if transfer.entry.status is Status.CONSUMED:
                    # Its handler has returned in this moment, or goes on with other entries.
                    await self._refuse_consumed(transfer.entry.upload_name, ref)
                self._check_resumable(transfer.entry)
                transfer.listener.surrender(transfer)
                await self._adopt(transfer)
            else:
                await self._resume_saved(ref, upload_id)

    async def _resume_saved(self, ref: str, upload_id: str) -> None:
        saved = await _answer_of_cache(Lease.find(upload_id))
        if saved and saved.status in ("uploading", "complete"):
            # Before anybody loses it to us.
            self._check_resumable(UploadEntry.saved(saved))
        superseded = await _answer_of_cache(Lease.supersede(upload_id))
        if superseded is None:
            raise NotResumable("nothing is known of it")
        lease, saved = superseded
        if saved.status == "consumed":
            await self._refuse_consumed(saved.upload_name, ref)
        if saved.status == "error":
            await _answer_of_cache(lease.end())
            self._remember(ref)
            await self._tell(wire.failed_before(ref, saved.upload_name, saved.code, saved.error))
            return
        entry = UploadEntry.saved(saved)
        slot = self._check_resumable(entry)
        # It answers, when it has found out how much is there.
        self._add(Transfer(entry, slot, self, upload_id, (lease, saved)))

    async def _refuse_consumed(self, upload_name: str, ref: str) -> NoReturn:
        await self._tell(wire.consumed(upload_name, [ref]))
        raise NotResumable("the application has the file")

    async def _of_this_process(self, upload_id: str) -> Transfer | None:
        """The upload, if this process has it: as it is, not as it was before another process took
        it over."""
        while transfer := parking.get(upload_id):
            if transfer.suspending:
                await transfer.wait_ended()
                continue
            superseded = await transfer.superseded()
            if parking.get(upload_id) is not transfer or transfer.suspending:
                # It ended while we asked.
                continue
            if not superseded:
                return transfer
            self._let_go(transfer)
        return None

    def _let_go(self, transfer: Transfer) -> None:
        if transfer.entry.status is Status.COMPLETE:
            transfer.listener.surrender(transfer)
            parking.forget(transfer)
        else:
            parking.forget(transfer)
            # Not waited for: its sink may hang.
            transfer.stop(UploadLocked("another process has resumed it"))

    def _check_resumable(self, entry: UploadEntry) -> UploadSlot:
        slot = self.slots.get(entry.upload_name)
        if slot is None or not slot.resumable:
            raise NotResumable(f"no resumable slot {entry.upload_name!r}")
        self._check_places(slot)
        check_registration(slot, entry)
        return slot

    async def _adopt(self, transfer: Transfer) -> None:
        """Take over an upload of this process, parked or of another connection."""
        entry = transfer.entry
        self._ended.pop(entry.ref, None)
        transfer.slot = self.slots[entry.upload_name]
        transfer.attach(self)
        if entry.status is Status.COMPLETE:
            self._remember(entry.ref, failed=False)
            self._entries[entry.ref] = entry
        else:
            self._add(transfer)
        if not entry.restored:
            # It answers, when it has found out how much is there.
            return
        await self._tell(transfer.answer_resume())
        if entry.status is Status.COMPLETE:
            await transfer.report()

    def lost(self, transfer: Transfer) -> None:
        """The connection is gone, though nobody said so yet. Whoever resumes the upload must not
        share it with us."""
        if self._transfers.get(transfer.entry.ref) is transfer:
            self._remember(transfer.entry.ref)
            self._park(transfer)

    def surrender(self, transfer: Transfer) -> None:
        """Another connection of the same owner takes the upload. Raises ``UploadLocked`` while a
        handler of ours has its file."""
        entry = transfer.entry
        if self._consumption.in_hand(entry):
            raise UploadLocked("an event handler has it")
        self._entries.pop(entry.ref, None)
        self._transfers.pop(entry.ref, None)
        self._remember(entry.ref)
        if entry.restored:
            error = UploadLocked("another connection has resumed it")
            message = wire.failed(entry.ref, error, entry.upload_name)
        else:
            # The page still waits for its answer.
            message = wire.not_resumed(entry.ref, "locked")
        # Not awaited: if that connection is half open, nobody reads what we send.
        self._spawn(lambda: self._tell(message))

    async def aclose(self) -> None:
        """End every transfer and delete what was never consumed, but park what can be resumed.
        Idempotent."""
        transfers = list(self._transfers.values())
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
            # A handler that outlives its connection still reads its files; it calls us again.
            self._closing = True
            return
        unconsumed = [entry for entry in self._entries.values() if entry.complete]
        self._entries.clear()
        for entry in unconsumed:
            if complete := self._resumable(entry):
                parking.park(complete, self.owner or "")
            else:
                await _delete(entry)
        await self._discard(self._consumption.take_consumed())

    async def _wait_settled(self, parked: Sequence[Transfer]) -> None:
        """A server that is told to end waits for us, and then cancels whatever still runs: parked
        transfers, and what their sinks are sending."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):
                for transfer in parked:
                    await transfer.wait_settled()

    def _park(self, transfer: Transfer) -> None:
        """Its client is gone, but may come back."""
        self._entries.pop(transfer.entry.ref, None)
        self._transfers.pop(transfer.entry.ref, None)
        parking.park(transfer, self.owner or "")

    def transfer_ended(self, transfer: Transfer) -> None:
        entry = transfer.entry
        del self._transfers[entry.ref]
        self._remember(entry.ref, failed=entry.status is not Status.COMPLETE)
        if entry.status is not Status.COMPLETE:
            parking.forget(transfer)
            self._entries.pop(entry.ref, None)
        elif entry.ref not in self._entries:
            # A handler's thread cancelled it in the moment in which it completed.
            self._spawn(lambda: self._discard_cancelled(entry))
        if entry.status is Status.ERROR:
            self._show_failed(entry)

    async def send(self, message: Mapping[str, Any]) -> None:
        """To the page. Raises if the connection is known to be gone."""
        if self._send:
            await self._send(message)

    def _remember(self, ref: str, *, failed: bool = True) -> None:
        self._ended[ref] = failed
        if len(self._ended) > _REMEMBERED_REFS:
            del self._ended[next(iter(self._ended))]

    def _show_failed(self, entry: UploadEntry) -> None:
        """Failed entries stay visible, as many as the slot has places, and take up none."""
        places = self.slots[entry.upload_name].max_entries
        self._failed.setdefault(entry.upload_name, deque(maxlen=min(places, 100))).append(entry)

    # What the application calls, from the loop or from a handler's thread.

    def configure(self, slot: UploadSlot) -> None:
        """Add a slot, or replace the one of that name. Entries on their way keep their slot."""
        self.slots[slot.name] = slot

    def entries(self, name: str) -> list[UploadEntry]:
        """The slot's entries in the order of selection, then the failed ones."""
        return self._live(name) + list(self._failed.get(name, ()))

    def _live(self, name: str) -> list[UploadEntry]:
        return [entry for entry in list(self._entries.values()) if entry.upload_name == name]

    def client_configs(self) -> dict[str, dict[str, Any]]:
        """What the browser needs to know of each slot."""
        return {name: slot.client_config() for name, slot in self.slots.items()}

    def get_upload_state(self) -> dict[str, Any]:
        """``{{ uploads }}``: for each slot its config, its entries and their errors. djust's mount
        message takes the configs from here, hence the name."""
        return {
            name: {
                "config": slot.client_config(),
                "entries": [entry.template_state() for entry in self.entries(name)],
                "errors": [entry.error for entry in self.entries(name) if entry.error],
            }
            for name, slot in self.slots.items()
        }

    def cancel(self, ref: str) -> None:
        """Drop an entry: stop it if it is on its way, delete its file if it is complete."""
        entry = self._entries.pop(ref, None)
        if entry is None:
            return
        if transfer := self._transfers.get(ref):
            self._soon(transfer.stop, UploadCancelled("cancelled"))
            return
        self._spawn(lambda: self._discard_cancelled(entry))

    async def _discard_cancelled(self, entry: UploadEntry) -> None:
        if transfer := self._resumable(entry):
            parking.forget(transfer)
            await transfer.discard()
        else:
            await _delete(entry)
        entry.fail(UploadCancelled("cancelled when it was complete"))
        await self._tell(
            wire.progress(
                entry.ref, entry.upload_name, str(entry.status), progress=0, offset=0, limit=0
            )
        )

    def consume(self, name: str) -> ConsumedEntries:
        """The complete entries of a slot; see :meth:`UploadMixin.consume_uploaded_entries`."""
        return ConsumedEntries(self._consumption, self._live(name))

    def _take_out(self, entry: UploadEntry) -> bool:
        return self._entries.pop(entry.ref, None) is not None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One event handler. When it returns, what it has in hand is consumed; when it raises, that
        stays. Files of consumed entries are there until then."""
        consumption = self._consumption
        consumption.begin()
        try:
            yield
            consumption.returned()
        finally:
            consumption.end()
            if not consumption.running:
                if self._closing:
                    self._spawn(self.aclose)
                elif consumed := consumption.take_consumed():
                    self._spawn(lambda: self._discard(consumed))

    async def _discard(self, consumed: list[UploadEntry]) -> None:
        for entry in consumed:
            # A process that dies between two of these may have the application see a file twice;
            # in any other order, never again.
            if entry.keeps_file:
                await _keep(entry)
            if transfer := self._resumable(entry):
                await transfer.consumed()
                parking.forget(transfer)
            if not entry.keeps_file:
                await _delete(entry)
        for name in {entry.upload_name for entry in consumed}:
            refs = [entry.ref for entry in consumed if entry.upload_name == name]
            await self._tell(wire.consumed(name, refs))

    async def _tell(self, message: Mapping[str, Any]) -> None:
        # The connection may be gone, and it is not waiting for this.
        with contextlib.suppress(Exception):
            await self.send(message)

    def close_soon(self) -> None:
        """:meth:`aclose` for a host that can't await."""
        if self._loop:
            self._spawn(self.aclose)

    def _soon(self, function: Any, *args: Any) -> None:
        # The loop is closed when the server is; then its tasks were cancelled and cleaned up.
        with contextlib.suppress(RuntimeError):
            assert self._loop
            self._loop.call_soon_threadsafe(function, *args)

    def _spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def start() -> None:
            task = asyncio.ensure_future(function())
            _background.add(task)
            task.add_done_callback(_background.discard)

        self._soon(start)


async def _answer_of_cache(call: Awaitable[T]) -> T:
    try:
        return await call
    except UploadLocked:
        raise
    except Exception as exc:
        raise SinkUnavailable(f"the resume cache failed: {exc!r}") from exc


async def _delete(entry: UploadEntry) -> None:
    try:
        await entry.file.adelete()
    except Exception:
        logger.exception("could not delete the file of %r; a sweep may find it", entry)


async def _keep(entry: UploadEntry) -> None:
    try:
        await entry.file.akeep()
    except Exception:
        logger.exception("could not mark the file of %r as kept; a sweep may delete it", entry)
