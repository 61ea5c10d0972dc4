"""One entry's bytes on their way: from the socket, past the validators, into the sink's writer.

The connection feeds chunks in and never waits for the sink; one task takes them out. Between them
lies a buffer that the window bounds: ``limit``, the position up to which the client may send, is
what the sink took plus the window.

Whatever ends a transfer ends it in this task: the writer is finished or aborted, once, and the
client is told, once. :meth:`Transfer.stop` only asks for the end, so a call to the sink is never
torn apart by a disconnect.

A resumable transfer outlives its connection. It goes on with what it has, and waits a while for
another connection to attach itself; then it is suspended: what another process needs to go on is
saved, and the writer is neither finished nor aborted.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from asgiref.sync import sync_to_async

from .. import wire
from ..exceptions import (
    LimitExceeded,
    NotResumable,
    SinkError,
    SinkTimeout,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadLocked,
)
from ..flow.budget import TURN_TIMEOUT, budget
from ..flow.deadline import Deadline
from ..flow.threads import in_thread
from ..flow.window import Window
from ..resuming.checkpoints import Checkpoints
from ..resuming.parking import PARKED_SECONDS
from ..settings import upload_settings
from ..sinks.base import Sink, SinkWriter
from ..slots.acceptance import HEAD_SIZE, check_content, run_validators, xml_guard
from ..slots.status import Status
from .hashing import RunningHash, sha256_of

if TYPE_CHECKING:
    from ..resuming.leases import Lease, SavedUpload
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot

logger = logging.getLogger("djust_uploads")

T = TypeVar("T")

#: Seconds between two progress messages of one upload, unless its client is about to stall.
PROGRESS_INTERVAL = 0.1

#: Seconds between the attempts of a call to a sink that is unavailable.
RETRY_PAUSES = (0.2, 1.0, 3.0)

#: Seconds that the limit may stand still while the client is beyond it, before the upload fails.
OVERSTEPPING_TIMEOUT = 10.0

#: Seconds between two messages to a client that is kept waiting, to find out whether it is there.
LIFE_SIGN_INTERVAL = 1.0

_validating = ThreadPoolExecutor(thread_name_prefix="upload-validator")


class Listener(Protocol):
    """Whom a transfer reports to: the manager of a connection, or, after it, the parking."""

    #: Whether a connection listens.
    attached: bool

    async def send(self, message: Mapping[str, Any]) -> None: ...

    def transfer_ended(self, transfer: Transfer) -> None: ...

    def lost(self, transfer: Transfer) -> None:
        """Its page can't be told anything any more."""

    def surrender(self, transfer: Transfer) -> None:
        """Another listener takes it. Raises :class:`UploadLocked` if that can't be now."""


class Transfer:
    """Runs from registration until the entry is complete, failed, cancelled or suspended.

    ``upload_id``: its name for those who resume it; ``None`` if nobody may. ``resumed``: what was
    saved in another process, to go on from there.
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
        self.listener = listener
        self.upload_id = upload_id
        self.checkpoints: Checkpoints | None = None
        #: Whether it is about to end by being suspended: too late to attach a connection.
        self.suspending = False
        self._abandoned = False
        self._resumed = resumed
        #: What another process is to know: ``"complete"`` if ``on_complete`` was called.
        self._saved_status = resumed[1].status if resumed else "uploading"
        # Nothing is taken before the head is there, so the client must be allowed to send it.
        least = max(slot.chunk_size, HEAD_SIZE)
        self._window = Window(least, entry.client_size, entry.taken, moved=self._window_moved)
        self._chunks: deque[bytes | memoryview] = deque()
        self._fed = asyncio.Event()
        self._drained = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopped: UploadError | None = None
        self._writer: SinkWriter | None = None
        self._deadline = Deadline()
        self._hash = RunningHash() if upload_settings().sha256 and not resumed else None
        self._task = asyncio.create_task(self._run(), name=f"upload {entry.ref}")
        # Also that of a task which is cancelled before it begins.
        self._task.add_done_callback(lambda _: self._window.close())

    @property
    def limit(self) -> int:
        """The position up to which the client may send."""
        return self._window.limit

    # The connection's side.

    def feed(self, index: int, data: bytes | memoryview) -> None:
        """Take a chunk; never waits. One that is out of order, too long or too much ends the
        transfer; those that come after its end are dropped."""
        if self._stopped:
            return
        try:
            repeated = self.entry.accept_chunk(index, len(data))
        except UploadError as error:
            self.stop(error)
            return
        if repeated:
            data = data[repeated:]
        self._chunks.append(data)
        self._window.feed(len(data), self.entry.received)
        self._fed.set()

    def feed_end(self) -> None:
        """The client says that it sent all. If it didn't, that ends the transfer."""
        try:
            self.entry.accept_complete()
        except UploadError as error:
            self.stop(error)
        self._fed.set()

    @property
    def overstepped(self) -> bool:
        """Whether the client sent more than it was allowed."""
        return self.entry.received > self._window.limit

    async def room(self, *, slows: bool = True) -> None:
        """Return when the next frame of a client that :attr:`overstepped` may be read. Not to read
        its socket is the one way to slow it down; ``slows`` says whether the server then stops
        reading too."""
        if slows:
            await self._slow_down()
        elif budget.overrun:
            self.stop(LimitExceeded("more is buffered than MAX_BUFFERED_BYTES"))

    async def _slow_down(self) -> None:
        limit, stood_still, listener = self.limit, 0.0, self.listener
        while self.entry.received > self.limit and not (self._stopped or self._task.done()):
            if self.listener is not listener:
                # The client goes on elsewhere.
                return
            self._drained.clear()
            if await _is_set_within(LIFE_SIGN_INTERVAL, self._drained) or self._stopped:
                continue
            stood_still = stood_still + LIFE_SIGN_INTERVAL if limit == self.limit else 0.0
            limit = self.limit
            if stood_still >= OVERSTEPPING_TIMEOUT:
                self.stop(LimitExceeded(f"at {limit} for {OVERSTEPPING_TIMEOUT} s"))
            else:
                # Who isn't read from isn't heard leaving either, but can't be told anything then.
                await self.report()

    def stop(self, error: UploadError) -> None:
        """Ask for the end; :meth:`wait_ended` tells when nothing is left behind."""
        if self._stopped is None:
            self._stopped = error
        self._fed.set()
        self._drained.set()

    async def wait_ended(self) -> None:
        await asyncio.wait([self._task])

    def attach(self, listener: Listener) -> None:
        """Report to ``listener`` from now on."""
        self.listener = listener
        # How long to wait for the client depends on whether there is one.
        self._fed.set()
        self._drained.set()
        if listener.attached:
            self._settled.set()
        else:
            self._settled.clear()

    async def wait_settled(self) -> None:
        """Return when all that came is where another process can go on with it, as far as it will
        be; or when another connection has taken the upload."""
        await self._settled.wait()

    def abandon(self) -> None:
        """Wait for no connection any longer, if there is none."""
        self._abandoned = True
        self._fed.set()

    async def discard(self) -> None:
        """Delete the file of a complete upload that nobody consumed, if it is still ours."""
        if self.checkpoints and not await self.checkpoints.end():
            await self._release()
        else:
            await self._undo()

    async def consumed(self) -> None:
        """The application has the file."""
        if self.checkpoints:
            await self.checkpoints.consume()

    async def superseded(self) -> bool:
        """Whether another process has taken it over."""
        return self.checkpoints is not None and await self.checkpoints.superseded()

    def answer_resume(self) -> Mapping[str, Any]:
        """``upload_resumed``, for the connection that was attached."""
        entry = self.entry
        return wire.resumed(
            entry.ref,
            entry.upload_name,
            position=entry.resume(),
            offset=entry.offset,
            limit=self._window.tell(),
            chunk_size=entry.chunk_size,
            progress=entry.progress,
        )

    # The sink's side: everything below runs in the one task.

    async def _run(self) -> None:
        entry = self.entry
        try:
            await self._store()
            self.listener.transfer_ended(self)
            await self.report()
        except asyncio.CancelledError:
            # The loop is going down; what the sink holds must not outlive it. A complete entry is
            # the manager's.
            if entry.status is not Status.COMPLETE:
                await self._suspend("the server is shutting down")
            raise
        except _Abandoned as abandoned:
            await self._suspend(str(abandoned))
        except UploadError as error:
            await self._fail(error)
        except Exception as exc:
            unexpected = SinkError(f"{type(exc).__name__}: {exc}")
            unexpected.__cause__ = exc
            await self._fail(unexpected)
        finally:
            self._chunks.clear()
            self._deadline.close()
            self._window.close()
            self._drained.set()
            self._settled.set()

    async def _store(self) -> None:
        entry, slot = self.entry, self.slot
        guard = None
        if self._resumed:
            sink = await self._resume(*self._resumed)
        else:
            head = await self._head()
            await self._check_content(head)
            guard = xml_guard(slot, entry, head)
            sink = await self._open(parsed=guard is not None)
        writer = self._writer
        assert writer
        while await self._fed_on():
            chunk = self._chunks.popleft()
            if guard:
                await in_thread(guard.feed, bytes(chunk))
            if self._hash:
                await self._hash.update(chunk)
            await self._write(writer, chunk)
            # While we wait for the next one it would be kept, and nobody counts it.
            del chunk
        if guard:
            await in_thread(guard.feed, b"", True)
        await self._finish(writer, sink)

    async def _open(self, *, parsed: bool) -> Sink:
        entry, slot = self.entry, self.slot
        sink = slot.resolve_sink(entry)
        info = entry.info()
        self._writer = writer = await self._retried(lambda: sink.open(info))
        # A parser that has seen the first half can't be taken to another process.
        if self.upload_id and not parsed:
            self.checkpoints = await Checkpoints.begin(
                self.upload_id, entry, info, slot.sink_name(sink), writer
            )
        return sink

    async def _resume(self, lease: Lease, saved: SavedUpload) -> Sink:
        """Go on where another process was; the client waits for our answer."""
        entry, slot = self.entry, self.slot
        sink = slot.resolve_sink(entry)
        info = entry.info(saved.key, saved.generation)
        checkpoints = Checkpoints(lease, saved)

        async def resume() -> SinkWriter:
            # A sink takes the upload away from who had it, and that may be the one after us.
            await checkpoints.check()
            return await sink.resume(info, saved.checkpoint)

        try:
            if slot.sink_name(sink) != saved.sink:
                raise NotResumable(f"it went to {saved.sink}, not {slot.sink_name(sink)}")
            self._writer = await self._retried(resume)
        except NotResumable:
            await checkpoints.check()
            await checkpoints.end()
            raise
        self.checkpoints = checkpoints
        await checkpoints.save(self._writer, self._saved_status)
        entry.restore(self._writer.offset, complete=saved.status == "complete")
        self._window.start_at(entry.taken)
        await self._tell(self.answer_resume())
        return sink

    async def _finish(self, writer: SinkWriter, sink: Sink) -> None:
        entry = self.entry
        entry.finalize()
        await self.report()
        if self.checkpoints:
            # Also asks whether the upload is still ours: only one may finish it.
            await self.checkpoints.save(writer, self._saved_status)
        file = await self._retried(writer.finish)
        if upload_settings().sha256:
            entry.sha256 = await (self._hash.hexdigest() if self._hash else sha256_of(file))
        if self.checkpoints:
            # That may have taken long. One of those who finish it tells application and client.
            await self.checkpoints.check()
        entry.store(file, keeps_file=sink.keeps_files)
        if self._saved_status != "complete":
            await self._call_on_complete()
            self._saved_status = "complete"
            if self.checkpoints:
                # Before the client hears of it: what it knows to be complete stays so.
                await self.checkpoints.save(writer, self._saved_status)
        if self._stopped:
            raise self._stopped
        # Before anybody can consume the entry: its file may go with that.
        entry.finish()

    async def _head(self) -> bytes:
        """The first ``HEAD_SIZE`` bytes, or the whole file if it is shorter. They stay buffered."""
        size = min(HEAD_SIZE, self.entry.client_size)
        while self.entry.received < size or (not size and not self.entry.all_received):
            await self._next_feed()
        head = bytearray()
        for chunk in self._chunks:
            if len(head) >= HEAD_SIZE:
                break
            head += chunk[:HEAD_SIZE]
        return bytes(head[:HEAD_SIZE])

    async def _check_content(self, head: bytes) -> None:
        """The application's validators have threads of their own: they may be slow, and only the
        uploads that have some wait for them."""
        await in_thread(check_content, self.slot, self.entry, head)
        if self.slot.validators:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(_validating, run_validators, self.slot, self.entry, head)

    async def _fed_on(self) -> bool:
        """Wait for a chunk; false when the client said that it sent all and all are taken."""
        while not self._chunks:
            if self.entry.all_received:
                break
            if not self.listener.attached:
                # The client may come back to another process.
                await self._saved()
            await self._next_feed()
        if self._stopped:
            raise self._stopped
        return bool(self._chunks)

    def _window_moved(self) -> None:
        """The client is to be told; or if it sent too much, there may be room now."""
        self._drained.set()
        if self.listener.attached:
            self._fed.set()

    async def _next_feed(self) -> None:
        attached = self.listener.attached
        if not attached:
            self._settled.set()
        if self._abandoned and not attached:
            raise _Abandoned("its owner has too many of them")
        self._abandoned = False
        window = self._window
        in_line = attached and window.waits
        seconds = upload_settings().idle_timeout if attached else PARKED_SECONDS
        if not self._stopped:
            try:
                with self._deadline.within(TURN_TIMEOUT if in_line else seconds):
                    await self._fed.wait()
            except TimeoutError as exc:
                if not attached:
                    raise _Abandoned(f"nobody came back for {seconds} s") from None
                if not in_line:
                    raise UploadExpired(f"nothing came for {seconds} s") from exc
                window.insist()
            self._fed.clear()
        if self._stopped:
            raise self._stopped
        if window.limit > window.told_limit and window.must_tell(self.entry.received):
            await self.report()

    async def _write(self, writer: SinkWriter, chunk: bytes | memoryview) -> None:
        entry, window, size = self.entry, self._window, len(chunk)
        # Its signature is that of the many who don't.
        taken: Any = chunk if writer.takes_views else bytes(chunk)
        await self._bounded(writer.write(taken))
        if self.checkpoints:
            # Only what a saved checkpoint has survives this process.
            await self.checkpoints.save_if_due(writer)
            entry.take(size, self.checkpoints.offset)
        else:
            entry.take(size, writer.offset)
        window.take(size, entry.taken)
        if entry.received <= window.limit:
            self._drained.set()
        due = window.told_at + PROGRESS_INTERVAL
        if window.must_tell(entry.received) or time.monotonic() >= due:
            await self.report()

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        """A call to the sink that may be made again when the store was not there."""
        for pause in RETRY_PAUSES:
            try:
                return await self._bounded(call())
            except SinkTimeout:
                raise
            except SinkError as error:
                if not error.retryable or self._stopped:
                    raise
                logger.info("%r: trying again in %s s: %s", self.entry, pause, error)
                await asyncio.sleep(pause)
        return await self._bounded(call())

    async def _bounded(self, call: Awaitable[T]) -> T:
        """A call to the sink, at most ``SINK_TIMEOUT`` seconds long."""
        seconds = upload_settings().sink_timeout
        try:
            with self._deadline.within(seconds):
                return await call
        except TimeoutError as exc:
            raise SinkTimeout(f"the sink took longer than {seconds} s") from exc

    async def report(self) -> None:
        """Tell the page where the upload stands."""
        entry = self.entry
        await self._tell(
            wire.progress(
                entry.ref,
                entry.upload_name,
                str(entry.status),
                progress=entry.progress,
                offset=entry.offset,
                limit=self._window.tell(),
            )
        )

    async def _tell(self, message: Mapping[str, Any]) -> None:
        listener = self.listener
        try:
            await listener.send(message)
        except Exception as exc:
            # A client that oversteps its limit is not read from, so its end is not heard either:
            # that nobody can be told is then the only sign.
            if self.upload_id:
                listener.lost(self)
            else:
                self.stop(UploadCancelled(f"the connection is gone: {exc!r}"))

    async def _call_on_complete(self) -> None:
        if self.slot.on_complete is None:
            return
        try:
            if inspect.iscoroutinefunction(self.slot.on_complete):
                await self.slot.on_complete(self.entry)
            else:
                await sync_to_async(self.slot.on_complete)(self.entry)
        except Exception:
            logger.exception("on_complete of %r raised", self.entry)

    async def _fail(self, error: UploadError) -> None:
        entry = self.entry
        # Nothing more is taken, and a client that is kept waiting hears of it from here only.
        self.stop(error)
        # A sink may be the first to notice that somebody else goes on.
        if isinstance(error, SinkError) and await self.superseded():
            error = UploadLocked(f"another connection has resumed it: {error}")
        # Forgotten first: what is being deleted must not be resumed.
        if not isinstance(error, UploadLocked) and await self._forget(error):
            await self._undo()
        else:
            await self._release()
        if not entry.restored and isinstance(error, NotResumable | UploadLocked):
            logger.warning("%r can't be resumed: %s", entry, error, exc_info=error.__cause__)
            entry.fail(UploadCancelled("it can't be resumed"))
            self.listener.transfer_ended(self)
            locked = isinstance(error, UploadLocked)
            await self._tell(wire.not_resumed(entry.ref, "locked" if locked else "not_found"))
            return
        entry.fail(error)
        self.listener.transfer_ended(self)
        if isinstance(error, UploadCancelled):
            logger.info("%r: %s", entry, error)
            await self.report()
            return
        level = logging.ERROR if isinstance(error, SinkError) else logging.WARNING
        logger.log(level, "%r failed (%s): %s", entry, error.code, error, exc_info=error.__cause__)
        await self._tell(wire.failed(entry.ref, error, entry.upload_name))

    async def _undo(self) -> None:
        """Leave nothing in the store: a writer that finished has a file, any other is aborted."""
        try:
            if self.entry.complete:
                await self._bounded(self.entry.file.adelete())
            elif self._writer:
                await self._bounded(self._writer.abort())
        except Exception:
            logger.exception("%r could not be undone; a sweep may find its remains", self.entry)

    async def _forget(self, error: UploadError) -> bool:
        """Nobody can resume what failed; a client that tries to hears why, if it was not told.
        Whether what is stored is still ours: not if another connection has it now, or may have it,
        because the cache did not say."""
        if self.checkpoints is None:
            return True
        if self.listener.attached or isinstance(error, UploadCancelled):
            return await self.checkpoints.end()
        return await self.checkpoints.end_with(error)

    async def _suspend(self, reason: str) -> None:
        """Leave the upload to another process; if none could go on with it, leave nothing."""
        self.suspending = True
        try:
            await self._saved()
        except UploadLocked:
            logger.info("%r goes on elsewhere", self.entry)
        except Exception:
            # The checkpoint before it is as good as it was.
            logger.exception("%r: its last checkpoint could not be taken", self.entry)
        if self.checkpoints:
            await self._release()
        else:
            await self._undo()
        logger.info("%r is suspended: %s", self.entry, reason)
        self.entry.fail(UploadCancelled(reason))
        self.listener.transfer_ended(self)

    async def _saved(self) -> None:
        if not self.checkpoints or not self._writer:
            return
        if self.entry.complete:
            # Finished, and nobody was told yet: who resumes finds the file.
            await self.checkpoints.save(self._writer, self._saved_status)
        else:
            await self.checkpoints.suspend(self._writer)

    async def _release(self) -> None:
        try:
            # One that has finished holds nothing.
            if self._writer and not self.entry.complete:
                await self._bounded(self._writer.release())
        except Exception:
            logger.exception("%r: its writer could not be released", self.entry)


class _Abandoned(Exception):
    """Nobody came back for a parked transfer."""


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
