"""The checkpoints of one upload on its way: when they are saved, and what saving them means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import DuplicateRef, SinkTimeout, UploadError, UploadLocked
from .leases import Lease

if TYPE_CHECKING:
    from ..sinks.base import SinkWriter
    from .saved import SavedUpload

logger: logging.Logger = logging.getLogger("djust_uploads")

#: Seconds between two checkpoints of one upload.
SAVE_INTERVAL = 1.0

#: Seconds that a writer may take to store what it gathered when its upload is suspended. A server
#: that is told to stop gives its connections about as many seconds.
FLUSH_TIMEOUT = 5.0

#: Seconds that a writer may take to return its checkpoint.
CHECKPOINT_TIMEOUT = 5.0


class Checkpoints:
    """Keeps what another process needs to go on in the cache, while the upload is on its way.

    If the cache does not answer, the upload goes on and can no longer be resumed.
    """

    def __init__(self, lease: Lease, saved: SavedUpload) -> None:
        self._lease = lease
        self._saved = saved
        #: Bytes that a saved checkpoint tells of. Any process can go on from there.
        self.offset: int = 0
        self._saved_at = 0.0
        self._failed = False

    async def opened(self, saved: SavedUpload, writer: SinkWriter) -> bool:
        """Save the first checkpoint of an upload that was announced.

        Return ``False`` if the writer has none. Raises :class:`UploadLocked` if another process
        stores the upload.
        """
        checkpoint = await _checkpoint_of(writer)
        if checkpoint is None:
            return False
        saved = replace(saved, checkpoint=checkpoint, generation=self._saved.generation)
        if await self._try(self._lease.save(saved)):
            self._saved = saved
        return True

    @classmethod
    async def begin(
        cls, upload_id: str, saved: SavedUpload, writer: SinkWriter
    ) -> Checkpoints | None:
        """Save the first checkpoint of a new upload.

        Return ``None`` if the writer has no checkpoints or the cache does not answer. Raises
        :class:`DuplicateRef` if there is another upload of that name.
        """
        checkpoint = await _checkpoint_of(writer)
        if checkpoint is None:
            return None
        saved = replace(saved, checkpoint=checkpoint)
        try:
            lease = await Lease.begin(upload_id, saved)
        except Exception:
            logger.exception("%s is not resumable: the resume cache failed", saved.ref)
            return None
        if lease is None:
            raise DuplicateRef(f"{saved.ref} is on its way already")
        return cls(lease, saved)

    async def save_if_due(self, writer: SinkWriter) -> None:
        """Save a checkpoint if the last one is older than ``SAVE_INTERVAL``.

        Raises :class:`UploadLocked` if another connection has resumed the upload.
        """
        now = asyncio.get_running_loop().time()
        if writer.offset > self.offset and now - self._saved_at >= SAVE_INTERVAL:
            self._saved_at = now
            await self.save(writer)

    async def save(self, writer: SinkWriter, status: str = "uploading", **changed: Any) -> None:
        """Save a checkpoint. :attr:`offset` tells how many bytes it has.

        ``changed`` are other values of the record. Raises :class:`UploadLocked` if another
        connection has resumed the upload.
        """
        # The offset is read first: bytes that are stored meanwhile belong to the next checkpoint.
        offset = writer.offset
        checkpoint = await _checkpoint_of(writer) or self._saved.checkpoint
        saved = replace(self._saved, checkpoint=checkpoint, status=status, **changed)
        if await self._try(self._lease.save(saved)):
            self._saved, self.offset = saved, max(self.offset, offset)

    async def suspend(self, writer: SinkWriter) -> None:
        """Save a checkpoint of as many bytes as the writer can make durable.

        Raises :class:`UploadLocked` if another process already goes on with the upload. The writer
        was left alone then.
        """
        await self.check()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await writer.flush()
        except Exception as exc:
            logger.warning("%s: not all was flushed: %r", self._saved.ref, exc)
        await self.save(writer)

    async def check(self) -> None:
        """Raise :class:`UploadLocked` if the upload certainly belongs to another process."""
        await self._try(self._lease.check())

    async def superseded(self) -> bool:
        """Return whether the upload certainly belongs to another process."""
        try:
            await self.check()
        except UploadLocked:
            return True
        return False

    # The next three end the upload. They return whether it certainly belongs to nobody else: its
    # bytes may be deleted only then.

    async def end(self) -> bool:
        """Let nobody go on with the upload."""
        return await self._end(self._lease.end())

    async def end_with(self, error: UploadError) -> bool:
        """Let nobody go on with the upload. A client that tries to is told the error."""
        saved = replace(self._saved, status="error", code=error.code, error=str(error.message))
        return await self._end(self._lease.save(saved))

    async def consume(self) -> bool:
        """Note that the application has the file. A client that tries to go on is told so."""
        return await self._end(self._lease.conclude(replace(self._saved, status="consumed")))

    async def _end(self, call: Awaitable[None]) -> bool:
        try:
            return await self._try(call)
        except UploadLocked:
            logger.info("%s ended, but another connection has it", self._saved.ref)
            return False

    async def _try(self, call: Awaitable[None]) -> bool:
        """Ask the cache, and return whether it answered. The log says so once when it does not."""
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
