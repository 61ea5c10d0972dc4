"""How a transfer ends without a complete file: it fails, or it is suspended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import wire
from ..exceptions import NotResumable, SinkError, UploadCancelled, UploadError, UploadLocked
from ..lifecycle import moves
from ..lifecycle.notifying import notify
from ..lifecycle.observer import Observer

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry
    from .client_side import ClientSide
    from .reports import Reports
    from .sink_side import SinkSide

logger: logging.Logger = logging.getLogger("djust_uploads")


class Endings:
    """Ends one upload: in the store, in the resume cache, for its connection and for its client.

    ``ended`` is called once, when the entry has its final status and before the client is told.
    """

    def __init__(
        self,
        entry: UploadEntry,
        client: ClientSide,
        sink: SinkSide,
        reports: Reports,
        ended: Callable[[], None],
    ) -> None:
        self._entry = entry
        self._client = client
        self._sink = sink
        self._reports = reports
        self._ended = ended

    async def fail(self, error: UploadError) -> None:
        """Undo the upload and tell the client why."""
        # From now on nothing more is taken. A client that is kept waiting hears of it only here.
        self._client.stop(error)
        # A sink may be the first to notice that another process goes on with the upload.
        if isinstance(error, SinkError) and await self._sink.superseded():
            error = UploadLocked(f"another connection has resumed it: {error}")
            self._client.stopped = error
        await self._clean_up(error)
        if not self._entry.restored and isinstance(error, NotResumable | UploadLocked):
            await self._refuse_to_resume(error)
        else:
            await self._report(error)

    async def _clean_up(self, error: UploadError) -> None:
        # The upload is forgotten first, so that nobody resumes what is being deleted.
        told = self._reports.attached
        if isinstance(error, UploadLocked) or not await self._sink.forget(error, told=told):
            await self._sink.release()
        else:
            await self._sink.undo()

    async def _refuse_to_resume(self, error: UploadError) -> None:
        """Answer ``upload_resume``: the client still waits to hear from which byte it goes on."""
        entry = self._entry
        locked = isinstance(error, UploadLocked)
        entry.fail(UploadCancelled("it can't be resumed"))
        if locked:
            notify(Observer.suspended, entry, f"it can't be resumed: {error}")
        else:
            notify(Observer.failed, entry, error)
        self._ended()
        status = "locked" if locked else "not_found"
        await self._reports.tell(wire.not_resumed(entry.ref, status))

    async def _report(self, error: UploadError) -> None:
        entry = self._entry
        moves.fail(entry, error)
        self._ended()
        if isinstance(error, UploadCancelled):
            await self._reports.progress()
        else:
            await self._reports.tell(wire.failed(entry.ref, error, entry.upload_name))

    async def suspend(self, reason: str) -> None:
        """Leave the upload to another process. If none could go on with it, leave nothing."""
        entry = self._entry
        try:
            await self._sink.save()
        except UploadLocked:
            logger.info("%r goes on elsewhere", entry)
        except Exception:
            # The checkpoint before this one is still good.
            logger.exception("%r: its last checkpoint could not be taken", entry)
        if self._sink.is_saved:
            await self._sink.release()
            moves.suspend(entry, reason)
        else:
            await self._sink.undo()
            moves.fail(entry, UploadCancelled(reason))
        self._ended()
