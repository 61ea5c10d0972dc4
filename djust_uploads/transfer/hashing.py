"""The SHA-256 of an upload, computed in threads."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from ..flow.gathering import GATHER, Gathering
from ..flow.threads import in_thread

if TYPE_CHECKING:
    from ..files import SinkFile


class RunningHash:
    """Computes the SHA-256 of the chunks that it is given.

    A batch is hashed while the sink stores the same chunks and the next batch is gathered.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._gathering = Gathering()
        self._running: asyncio.Task[None] | None = None

    async def update(self, chunk: bytes | memoryview) -> None:
        """Take the next chunk. Waits while the batch before this one is hashed."""
        if self._gathering.add(chunk):
            await self._hash()

    async def hexdigest(self) -> str:
        """Return the digest of all chunks in hexadecimal digits."""
        await self._hash()
        await self._done()
        return self._sha256.hexdigest()

    async def _hash(self) -> None:
        # The order of batches matters, so each begins when the one before it is done.
        await self._done()
        self._running = asyncio.create_task(in_thread(self._update, self._gathering.take()))

    async def _done(self) -> None:
        if self._running:
            await self._running

    def _update(self, chunks: list[bytes | memoryview]) -> None:
        for chunk in chunks:
            self._sha256.update(chunk)


async def sha256_of(file: SinkFile) -> str:
    """Read a stored file and return its digest in hexadecimal digits."""
    digest = hashlib.sha256()
    async for chunk in file.achunks(GATHER):
        await in_thread(digest.update, chunk)
    await asyncio.to_thread(file.close)
    return digest.hexdigest()
