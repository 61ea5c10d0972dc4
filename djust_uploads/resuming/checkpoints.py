"""The checkpoints of one upload on its way: when they are saved, and what that means for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import DuplicateRef, SinkTimeout, UploadError, UploadLocked
from .leases import Lease, SavedUpload

if TYPE_CHECKING:
    from ..sinks.base import SinkWriter, UploadInfo
    from ..slots.entry import UploadEntry

logger = logging.getLogger("djust_uploads")

#: Seconds between two checkpoints of one upload.
SAVE_INTERVAL = 1.0

#: Seconds that a writer may take to make durable what it gathered, when its upload is suspended. A
#: server that is told to end gives its connections about as many.
FLUSH_TIMEOUT = 5.0

#: Seconds that it may take a writer to say what it knows.
CHECKPOINT_TIMEOUT = 5.0


class Checkpoints:
    """What another process needs to go on, kept in the cache while the upload is on its way.

    A cache that does not answer costs the upload its resumability, not its life.
    """

    def __init__(self, lease: Lease, saved: SavedUpload) -> None:
        self._lease = lease
        self._saved = saved
        #: Bytes that a saved checkpoint has: the upload may go on from there in any process.
        self.offset = 0
        self._saved_at = 0.0
        self._failed = False

    @classmethod
    async def begin(
        cls, upload_id: str, entry: UploadEntry, info: UploadInfo, sink: str, writer: SinkWriter
    ) -> Checkpoints | None:
        """``None`` if the writer has no checkpoints, or the cache does not answer.

        Raises :class:`DuplicateRef` if there is another upload of that name.
        """
        checkpoint = await _checkpoint_of(writer)
        if checkpoint is None:
            return None
        saved = SavedUpload(
            ref=entry.ref,
            upload_name=entry.upload_name,
            client_name=entry.client_name,
            client_relative_path=entry.client_relative_path,
            client_type=entry.client_type,
            client_size=entry.client_size,
            content_type=entry.content_type,
            chunk_size=entry.chunk_size,
            key=info.key,
            sink=sink,
            checkpoint=checkpoint,
        )
        try:
            lease = await Lease.begin(upload_id, saved)
        except Exception:
            logger.exception("%r is not resumable: the resume cache failed", entry)
            return None
        if lease is None:
            raise DuplicateRef(f"{entry.ref} is on its way already")
        return cls(lease, saved)

    async def save_if_due(self, writer: SinkWriter) -> None:
        """Raises :class:`UploadLocked` if another connection has resumed the upload."""
        now = asyncio.get_running_loop().time()
        if writer.offset > self.offset and now - self._saved_at >= SAVE_INTERVAL:
            self._saved_at = now
            await self.save(writer)

    async def save(self, writer: SinkWriter, status: str = "uploading") -> None:
        """:attr:`offset` tells how much is saved. Raises what :meth:`save_if_due` raises."""
        # Whatever becomes durable meanwhile is in the next one.
        offset = writer.offset
        saved = replace(
            self._saved,
            checkpoint=await _checkpoint_of(writer) or self._saved.checkpoint,
            status=status,
        )
        if await self._try(self._lease.save(saved)):
            self._saved, self.offset = saved, max(self.offset, offset)

    async def suspend(self, writer: SinkWriter) -> None:
        """Save as much as the writer can make durable. Raises :class:`UploadLocked` if somebody
        already goes on with it; then the writer was left alone."""
        await self.check()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await writer.flush()
        except Exception as exc:
            logger.warning("%s: not all was flushed: %r", self._saved.ref, exc)
        await self.save(writer)

    async def check(self) -> None:
        """Raises :class:`UploadLocked` if the upload is certainly not ours any more."""
        await self._try(self._lease.check())

    async def superseded(self) -> bool:
        """Whether it is certainly not ours any more."""
        try:
            await self.check()
        except UploadLocked:
            return True
        return False

    # The ends return whether it is certainly nobody else's: only then may its bytes be deleted.

    async def end(self) -> bool:
        """Nobody can go on with the upload."""
        return await self._end(self._lease.end())

    async def end_with(self, error: UploadError) -> bool:
        """Nobody can go on, and whoever wants to is told why."""
        saved = replace(self._saved, status="error", code=error.code, error=error.message)
        return await self._end(self._lease.save(saved))

    async def consume(self) -> bool:
        """The application has the file; whoever wants to go on is told so."""
        return await self._end(self._lease.save(replace(self._saved, status="consumed")))

    async def _end(self, call: Awaitable[None]) -> bool:
        try:
            return await self._try(call)
        except UploadLocked:
            # Then it is somebody else's to end.
            logger.info("%s ended, but another connection has it", self._saved.ref)
            return False

    async def _try(self, call: Awaitable[None]) -> bool:
        try:
            await call
        except UploadLocked:
            raise
        except Exception as exc:
            if not self._failed:
                logger.error("%s: the resume cache failed", self._saved.ref, exc_info=exc)
            self._failed = True
            return False
        self._failed = False
        return True


async def _checkpoint_of(writer: SinkWriter) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(CHECKPOINT_TIMEOUT):
            return await writer.checkpoint()
    except TimeoutError as exc:
        raise SinkTimeout(f"no checkpoint within {CHECKPOINT_TIMEOUT} s") from exc
