"""One upload on its way: from the connection, past the validators, into the sink's writer.

A :class:`Transfer` has two sides. On the :class:`~.client_side.ClientSide` the connection feeds
chunks in and never waits for the sink. On the :class:`~.sink_side.SinkSide` one task gives them to
the writer. The buffer between the two is bounded by the window: ``limit``, the position up to which
the client may send, is what the sink has taken plus the window.

Every transfer ends in its task. There the writer is finished or aborted, once, and the client is
told, once (:class:`~.endings.Endings`). :meth:`Transfer.stop` only asks for the end, so a
disconnect never interrupts a call to the sink.

A resumable transfer outlives its connection. It goes on with the chunks it has, and waits for
another connection to attach itself. If none comes, it is suspended: what another process needs to
go on is saved, and the writer is neither finished nor aborted.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from asgiref.sync import sync_to_async

from ..exceptions import SinkError, UploadCancelled, UploadError
from ..flow.deadline import Deadline
from ..flow.window import Window
from ..lifecycle import moves
from ..lifecycle.notifying import notify
from ..lifecycle.observer import Observer
from ..lifecycle.sending import delivered, send
from ..resuming.checkpoints import Checkpoints
from ..settings import upload_settings
from ..signals import upload_completed
from ..slots.acceptance import HEAD_SIZE
from ..slots.entry import UploadEntry
from ..slots.status import Status
from .client_side import Abandoned, ClientSide
from .endings import Endings
from .hashing import RunningHash, sha256_of
from .inspection import Inspection
from .reports import Recipient, Reports
from .sink_side import SinkSide

if TYPE_CHECKING:
    from ..resuming.leases import Lease
    from ..resuming.saved import SavedUpload
    from ..sinks.base import Sink
    from ..slots.slot import UploadSlot

logger: logging.Logger = logging.getLogger("djust_uploads")

W = TypeVar("W")

#: Seconds that the end of an upload waits for the receivers of signals: a server that ends would
#: otherwise not let them finish.
RECEIVER_TIMEOUT = 5.0


class Listener(Recipient, Protocol):
    """Whom a transfer reports to: the manager of a connection, or the parking after it."""

    def transfer_ended(self, transfer: Transfer) -> None:
        """Note that the entry is complete, or that it has its final status."""

    def lost(self, transfer: Transfer) -> None:
        """Note that the transfer's client cannot be told anything any more."""

    def surrender(self, transfer: Transfer) -> None:
        """Give the transfer up to another listener.

        Raises :class:`~djust_uploads.exceptions.UploadLocked` if that is not possible now.
        """


class Transfer:
    """Runs from registration until the entry is complete, failed, cancelled or suspended.

    ``upload_id`` is the upload's name for connections that resume it, or ``None`` if nobody may.
    ``resumed`` is what was saved of the upload: by another process, if this transfer goes on from
    there, or by this process, when it announced an upload whose sink is not open yet.
    """

    def __init__(
        self,
        entry: UploadEntry,
        slot: UploadSlot,
        listener: Listener,
        upload_id: str | None = None,
        resumed: tuple[Lease, SavedUpload] | None = None,
    ) -> None:
        self.entry = entry
        self.slot = slot
        self.listener: Listener = listener
        self.upload_id = upload_id
        #: Whether the transfer is about to be suspended: no connection can attach itself any more.
        self.suspending: bool = False
        #: Called once, when the task has ended, however it ends.
        self.ended_hook: Callable[[Transfer], None] | None = None
        # The sink is opened when the head has arrived. So the first limit must cover the head.
        least = max(slot.chunk_size, HEAD_SIZE)
        window = Window(least, entry.client_size, entry.taken, moved=self._window_moved)
        self._deadline = Deadline()
        self._reports = Reports(entry, window, listener, self._lost)
        self.client: ClientSide = ClientSide(entry, window, self._reports, self._deadline)
        goes_on = resumed is not None and resumed[1].has_begun
        self._sink = SinkSide(
            entry,
            upload_id,
            self._deadline,
            lambda: self.client.stopped is not None,
            Checkpoints(*resumed) if resumed and not goes_on else None,
        )
        self._endings = Endings(entry, self.client, self._sink, self._reports, self._ended)
        self._inspection = Inspection(slot, entry)
        self._hash = RunningHash() if self._needs_sha256 and not goes_on else None
        context = copy_context()
        if not goes_on:
            taken_over = resumed is not None and resumed[1].generation > 0
            # What an observer sets in the context, for example a trace, is there in the task.
            context.run(notify, Observer.resumed if taken_over else Observer.started, entry)
        self._task = asyncio.create_task(
            self._run(resumed if goes_on else None), name=f"upload {entry.ref}", context=context
        )
        # A task that is cancelled before it begins does not get to its own ``finally``.
        self._task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self.client.close()
        if self._is_on_its_way:
            # The event loop shuts down, and the task was cancelled before it began.
            self._never_began("the server is shutting down")
        if self.ended_hook:
            self.ended_hook(self)

    @property
    def _is_on_its_way(self) -> bool:
        return self.entry.status in (Status.UPLOADING, Status.FINALIZING)

    def _never_began(self, reason: str) -> None:
        self.suspending = self.is_saved
        if self.suspending:
            moves.suspend(self.entry, reason)
        else:
            moves.fail(self.entry, UploadCancelled(reason))
        self._ended()

    @property
    def _needs_sha256(self) -> bool:
        return upload_settings().sha256 or bool(self.entry.expected_sha256)

    def _window_moved(self) -> None:
        self.client.window_moved()

    def _ended(self) -> None:
        self.listener.transfer_ended(self)

    # The connection, the manager and the parking call these.

    @property
    def limit(self) -> int:
        """The byte position up to which the client may send."""
        return self.client.window.limit

    @property
    def is_complete(self) -> bool:
        """Whether the file is stored and waits to be consumed."""
        return self.entry.status is Status.COMPLETE

    @property
    def is_saved(self) -> bool:
        """Whether another process could go on with the upload."""
        return self._sink.is_saved

    @property
    def places(self) -> int:
        """How many files the upload's slot takes at once."""
        return self.slot.max_entries

    def stop(self, error: UploadError) -> None:
        """Ask the task to end the upload with ``error``. :meth:`wait_ended` waits until it has."""
        self.client.stop(error)

    async def wait_ended(self) -> None:
        """Return when the task has ended."""
        await asyncio.wait([self._task])

    def attach(self, listener: Listener) -> None:
        """Report to ``listener`` from now on."""
        self.listener = self._reports.recipient = listener
        self.client.connection_changed()
        notify(Observer.resumed if listener.attached else Observer.parked, self.entry)

    async def wait_settled(self) -> None:
        """Wait until the bytes that have arrived are saved for another process.

        Returns as well if no more of them can be saved, or if another connection takes the upload.
        """
        await self.client.wait_settled()

    def abandon(self) -> None:
        """Stop waiting for a connection, unless there is one."""
        self.client.abandon()

    def leave(self) -> None:
        """Note that this process leaves the complete upload to others."""
        notify(Observer.suspended, self.entry, "other processes have it")

    async def discard(self) -> bool:
        """Delete the file of a complete upload that nobody consumed, if it is still ours.

        Return whether it was.
        """
        try:
            return await self._sink.discard()
        finally:
            # The task has ended, and had closed it before.
            self._deadline.close()

    async def expire(self) -> None:
        """End a complete upload that nobody has consumed in time."""
        if await self.discard():
            moves.fail(self.entry, UploadCancelled("nobody has consumed it"))
        else:
            moves.suspend(self.entry, "another process has it")

    async def consumed(self) -> bool:
        """Save that the application has the file. Return whether it was certainly still ours."""
        return not self._sink.checkpoints or await self._sink.checkpoints.consume()

    async def note(self, **notes: Any) -> None:
        """Keep what a door wants to know of the complete upload later, in any process.

        The values are JSON. Raises :class:`UploadLocked` if another process has the upload.
        """
        self.entry.notes.update(notes)
        await self._sink.save_notes()

    async def superseded(self) -> bool:
        """Return whether another process has taken the upload over."""
        return await self._sink.superseded()

    async def report(self) -> None:
        """Tell the client where the upload stands."""
        await self._reports.progress()

    def answer_resume(self) -> dict[str, Any]:
        """Return ``upload_resumed``, for the connection that was attached."""
        return self._reports.answer_resume()

    def _lost(self, recipient: Recipient, exc: Exception) -> None:
        if self.upload_id:
            # The message may have gone to another listener than the present one.
            cast("Listener", recipient).lost(self)
        else:
            self.stop(UploadCancelled(f"the connection is gone: {exc!r}"))

    # Everything below runs in the transfer's own task.

    async def _run(self, resumed: tuple[Lease, SavedUpload] | None) -> None:
        try:
            sink = await (self._resume(*resumed) if resumed else self._begin())
            await self._finish(sink)
            self._ended()
            await self._reports.progress()
        except asyncio.CancelledError:
            # The event loop is shutting down, and what the sink holds must not outlive it. A
            # complete entry belongs to the manager.
            if not self.is_complete:
                await self._suspend("the server is shutting down")
            raise
        except Abandoned as abandoned:
            await self._insist(self._suspend, str(abandoned))
        except UploadError as error:
            await self._insist(self._endings.fail, error)
        except Exception as exc:
            unexpected = SinkError(f"{type(exc).__name__}: {exc}")
            unexpected.__cause__ = exc
            await self._insist(self._endings.fail, unexpected)
        finally:
            self._deadline.close()
            self.client.close()
            await self._inspection.close()
            await delivered(self.entry, RECEIVER_TIMEOUT)

    async def _insist(self, end: Callable[[W], Awaitable[None]], why: W) -> None:
        """Await an ending. If the event loop shuts down before it is reported, begin it again."""
        try:
            await end(why)
        except asyncio.CancelledError:
            if self._is_on_its_way:
                await end(why)
            raise

    async def _suspend(self, reason: str) -> None:
        self.suspending = True
        await self._endings.suspend(reason)

    async def _begin(self) -> Sink:
        """Look at the first bytes, open the sink, and write all bytes to it."""
        head = await self.client.head(min(HEAD_SIZE, self.entry.client_size))
        await self._inspection.check_head(head)
        sink = await self._sink.open(self.slot)
        inspected = self._inspection.reads_all
        await self._write_all(inspected=inspected)
        if inspected:
            await self._inspection.check_end()
        return sink

    async def _resume(self, lease: Lease, saved: SavedUpload) -> Sink:
        """Go on where another process was. The client waits for our answer."""
        sink = await self._sink.resume(self.slot, lease, saved)
        self.client.window.start_at(self.entry.taken)
        if not self._sink.is_known_complete:
            notify(Observer.resumed, self.entry)
        await self._reports.tell(self.answer_resume())
        # Only a part of the file passes here, so the whole file is inspected when it is stored.
        await self._write_all(inspected=False)
        return sink

    async def _write_all(self, *, inspected: bool) -> None:
        while (chunk := await self._next_chunk()) is not None:
            if inspected:
                await self._inspection.check_chunk(chunk)
            if self._hash:
                await self._hash.update(chunk)
            await self._sink.write(chunk)
            if self.client.took(len(chunk)):
                await self._reports.progress()
            # The budget does not count the bytes of this chunk any more. It must not stay in memory
            # while the loop waits for the next one.
            del chunk

    async def _next_chunk(self) -> bytes | memoryview | None:
        """Wait for a chunk and return it, or ``None`` when the client has sent all chunks and all
        of them were returned."""
        while not self.client and not self.entry.all_received:
            if not self.listener.attached:
                # The client may come back to another process.
                await self._sink.save()
            await self.client.wait()
        self.client.raise_stopped()
        return self.client.pop() if self.client else None

    async def _finish(self, sink: Sink) -> None:
        entry, was_complete = self.entry, self._sink.is_known_complete
        entry.finalize()
        if not was_complete:
            notify(Observer.finalizing, entry)
        await self._reports.progress()
        file = await self._sink.finish()
        if self._needs_sha256 and not entry.sha256:
            entry.sha256 = await (self._hash.hexdigest() if self._hash else sha256_of(file))
        entry.check_sha256()
        if not was_complete:
            await self._inspection.check_file(file)
        # All this may have taken long, and another process may have resumed the upload meanwhile.
        # Only one process may tell the application and the client.
        await self._sink.check_ours()
        entry.store(file, keeps_file=sink.keeps_files)
        if not was_complete:
            await self._call_on_complete()
            send(upload_completed, entry)
            await delivered(entry)
            # This is saved before the client hears of it: an upload that the client knows to be
            # complete stays complete.
            await self._sink.save_complete()
        self.client.raise_stopped()
        # This comes last. From here on the application may consume the entry, which may delete the
        # file.
        entry.finish()
        notify(Observer.resumed if was_complete else Observer.completed, entry)

    async def _call_on_complete(self) -> None:
        on_complete = self.slot.on_complete
        if on_complete is None:
            return
        try:
            if inspect.iscoroutinefunction(on_complete):
                await on_complete(self.entry)
            else:
                await sync_to_async(on_complete)(self.entry)
        except Exception:
            logger.exception("on_complete of %r raised", self.entry)
