"""The sink's side of a transfer: its writer, the calls to it, and its checkpoints."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import (
    NotResumable,
    SinkError,
    SinkTimeout,
    UploadCancelled,
    UploadError,
    UploadLocked,
)
from ..lifecycle.notifying import heard_by, notify
from ..lifecycle.observer import Observer
from ..resuming.checkpoints import Checkpoints
from ..settings import upload_settings

if TYPE_CHECKING:
    from ..files import SinkFile
    from ..flow.deadline import Deadline
    from ..resuming.leases import Lease
    from ..resuming.saved import SavedUpload
    from ..sinks.base import Sink, SinkWriter
    from ..slots.entry import UploadEntry
    from ..slots.slot import UploadSlot

logger: logging.Logger = logging.getLogger("djust_uploads")

T = TypeVar("T")

#: Seconds between the attempts of a call to a sink that is unavailable.
RETRY_PAUSES = (0.2, 1.0, 3.0)


class SinkSide:
    """Drives one writer for the transfer's task, and keeps the upload's checkpoints.

    ``upload_id`` is the upload's name for connections that resume it, or ``None`` if nobody may.
    ``is_stopped`` tells whether somebody has asked for the end of the transfer.
    """

    def __init__(
        self,
        entry: UploadEntry,
        upload_id: str | None,
        deadline: Deadline,
        is_stopped: Callable[[], bool],
        announced: Checkpoints | None = None,
    ) -> None:
        #: ``None`` for an upload that no other process can resume.
        self.checkpoints: Checkpoints | None = announced
        self._entry = entry
        self._upload_id = upload_id
        self._deadline = deadline
        self._is_stopped = is_stopped
        self._writer: SinkWriter | None = None
        #: What the writer's ``finish()`` returned. From then on there is a file to delete, and
        #: nothing to abort.
        self._stored: SinkFile | None = None
        #: The status in the saved checkpoint: ``"complete"`` once ``on_complete`` has returned.
        self._saved_status = "uploading"

    async def open(self, slot: UploadSlot) -> Sink:
        """Open a writer in the sink that ``slot`` chooses for the entry, and return the sink."""
        sink = slot.resolve_sink(self._entry)
        info = self._entry.info()
        self._entry.sink_name = name = slot.sink_name(sink)
        self._writer = writer = await self._retried("open", lambda: sink.open(info))
        saved = self._entry.to_save(info.key, name)
        if self.checkpoints:
            await self._open_announced(self.checkpoints, saved)
        elif self._upload_id:
            self.checkpoints = await Checkpoints.begin(self._upload_id, saved, writer)
        return sink

    async def _open_announced(self, announced: Checkpoints, saved: SavedUpload) -> None:
        """Save the first checkpoint of an upload that every process knows already."""
        assert self._writer
        try:
            if not await announced.opened(saved, self._writer):
                self.checkpoints = None
                await announced.end()
        except UploadLocked:
            # The other process stores the upload under another key: this writer is nobody's.
            await self._bounded("abort", self._writer.abort())
            raise

    async def resume(self, slot: UploadSlot, lease: Lease, saved: SavedUpload) -> Sink:
        """Go on with what another process has saved, and return the sink.

        Raises :class:`NotResumable` if the bytes are gone, and :class:`UploadLocked` if another
        connection has taken the upload over meanwhile.
        """
        sink = slot.resolve_sink(self._entry)
        self._entry.sink_name = name = slot.sink_name(sink)
        info = self._entry.info(saved.key, saved.generation)
        checkpoints = Checkpoints(lease, saved)

        async def resume() -> SinkWriter:
            # The sink takes the upload away from the writer before. If another connection has
            # resumed the upload after us, that writer would be the wrong one.
            await checkpoints.check()
            return await sink.resume(info, saved.checkpoint)

        try:
            if name != saved.sink:
                raise NotResumable(f"it went to {saved.sink}, not {name}")
            self._writer = await self._retried("resume", resume)
        except NotResumable:
            await checkpoints.check()
            await checkpoints.end()
            raise
        self.checkpoints, self._saved_status = checkpoints, saved.status
        await checkpoints.save(self._writer, self._saved_status)
        self._entry.restore(self._writer.offset, complete=self.is_known_complete)
        return sink

    @property
    def is_saved(self) -> bool:
        """Whether another process could go on with the upload."""
        # What was not restored here yet, is saved as the process before us has left it.
        return self.checkpoints is not None or not self._entry.restored

    @property
    def is_known_complete(self) -> bool:
        """Whether ``on_complete`` has returned, in this process or in another one before."""
        return self._saved_status == "complete"

    async def write(self, chunk: bytes | memoryview) -> None:
        """Give the writer a chunk, and count in the entry what the sink has taken."""
        writer, size = self._writer, len(chunk)
        assert writer
        # Most writers do not take views: their signature says ``bytes``.
        taken: Any = chunk if writer.takes_views else bytes(chunk)
        await self._bounded("write", writer.write(taken), size)
        if self.checkpoints:
            # Only what a saved checkpoint tells of survives this process.
            await self.checkpoints.save_if_due(writer)
            self._entry.take(size, self.checkpoints.offset)
        else:
            self._entry.take(size, writer.offset)

    async def finish(self) -> SinkFile:
        """Let the writer store what is left, and return the file."""
        writer = self._writer
        assert writer
        if self.checkpoints:
            # This also asks whether the upload is still ours: only one process may finish it.
            await self.checkpoints.save(writer, self._saved_status)
        self._stored = await self._retried("finish", writer.finish)
        return self._stored

    async def check_ours(self) -> None:
        """Raise :class:`UploadLocked` if another process has taken the upload over."""
        if self.checkpoints:
            await self.checkpoints.check()

    async def superseded(self) -> bool:
        """Return whether another process has taken the upload over."""
        return self.checkpoints is not None and await self.checkpoints.superseded()

    async def save_complete(self) -> None:
        """Save that the file is stored and that ``on_complete`` has returned."""
        self._saved_status = "complete"
        if self.checkpoints:
            assert self._writer
            await self.checkpoints.save(
                self._writer,
                self._saved_status,
                content_type=self._entry.content_type,
                sha256=self._entry.sha256 or "",
            )

    async def save_notes(self) -> None:
        """Save what the door keeps with a complete upload."""
        if self.checkpoints:
            assert self._writer
            await self.checkpoints.save(self._writer, self._saved_status, notes=self._entry.notes)

    async def save(self) -> None:
        """Save what another process needs to go on, and as many bytes as can be made durable.

        Raises :class:`UploadLocked` if another process has taken the upload over.
        """
        if not self.checkpoints or not self._writer:
            return
        if self._stored:
            # The file is stored, and the client has not been told yet. A process that resumes the
            # upload finds the file.
            await self.checkpoints.save(self._writer, self._saved_status)
        else:
            await self.checkpoints.suspend(self._writer)

    async def forget(self, error: UploadError, *, told: bool) -> bool:
        """Make sure that nobody resumes an upload that failed. Return whether its bytes are ours to
        delete.

        They are not if another connection has the upload now, or may have it because the cache did
        not answer. Unless the client is ``told`` of the error, it is saved, so that a client that
        tries to resume the upload hears of it.
        """
        if self.checkpoints is None:
            return True
        if told or isinstance(error, UploadCancelled):
            return await self.checkpoints.end()
        return await self.checkpoints.end_with(error)

    async def undo(self) -> None:
        """Leave nothing in the store: delete the file if there is one, else abort the writer."""
        try:
            if self._stored:
                await self._bounded("delete", self._stored.adelete())
            elif self._writer:
                await self._bounded("abort", self._writer.abort())
        except Exception:
            logger.exception("%r could not be undone; a sweep may find its remains", self._entry)

    async def release(self) -> None:
        """Free what the writer holds, and leave the store alone."""
        try:
            # A writer that has finished holds nothing.
            if self._writer and not self._stored:
                await self._bounded("release", self._writer.release())
        except Exception:
            logger.exception("%r: its writer could not be released", self._entry)

    async def discard(self) -> bool:
        """Delete the file of a complete upload that nobody consumed, if it is still ours.

        Return whether it was.
        """
        if self.checkpoints and not await self.checkpoints.end():
            await self.release()
            return False
        await self.undo()
        return True

    async def _retried(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """Await a call to the sink, and make it again a few times if the sink is unavailable."""
        for pause in RETRY_PAUSES:
            try:
                return await self._bounded(operation, call())
            except SinkTimeout:
                raise
            except SinkError as error:
                if not error.retryable or self._is_stopped():
                    raise
                logger.info("%r: trying again in %s s: %s", self._entry, pause, error)
                await asyncio.sleep(pause)
        return await self._bounded(operation, call())

    async def _bounded(self, operation: str, call: Awaitable[T], size: int = 0) -> T:
        """Await a call to the sink. Raises :class:`SinkTimeout` after ``SINK_TIMEOUT`` seconds."""
        seconds = upload_settings().sink_timeout
        begun_at, failure = time.perf_counter(), ""
        try:
            with self._deadline.within(seconds):
                return await call
        except TimeoutError as exc:
            failure = "SinkTimeout"
            raise SinkTimeout(f"the sink took longer than {seconds} s") from exc
        except BaseException as exc:
            failure = type(exc).__name__
            raise
        finally:
            # This is done for every chunk. Most processes have no such observers.
            if heard_by("called_sink"):
                passed = time.perf_counter() - begun_at
                notify(Observer.called_sink, self._entry, operation, passed, size, failure)
