"""SHA-256 of what passes, off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from ..flow.budget import gather_size
from ..flow.threads import in_thread

if TYPE_CHECKING:
    from ..files import SinkFile

#: Bytes to hash at once: hashlib lets other threads run meanwhile, and the hop is worth it.
_BATCH = 4 * 1024 * 1024


class RunningHash:
    """Hashes a batch while the sink stores the same chunks and the next ones are gathered."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._chunks: list[bytes | memoryview] = []
        self._gathered = 0
        self._running: asyncio.Task[None] | None = None

    async def update(self, chunk: bytes | memoryview) -> None:
        self._chunks.append(chunk)
        self._gathered += len(chunk)
        if self._gathered >= gather_size(_BATCH):
            await self._hash()

    async def _hash(self) -> None:
        """Begin to hash what is gathered, when the batch before is done: order matters."""
        await self._done()
        chunks, self._chunks, self._gathered = self._chunks, [], 0
        self._running = asyncio.create_task(in_thread(self._update, chunks))

    async def _done(self) -> None:
        if self._running:
            await self._running

    def _update(self, chunks: list[bytes | memoryview]) -> None:
        for chunk in chunks:
            self._sha256.update(chunk)

    async def hexdigest(self) -> str:
        await self._hash()
        await self._done()
        return self._sha256.hexdigest()


async def sha256_of(file: SinkFile) -> str:
    """Of a stored file, read once more."""
    digest = hashlib.sha256()
    async for chunk in file.achunks(_BATCH):
        await in_thread(digest.update, chunk)
    await asyncio.to_thread(file.close)
    return digest.hexdigest()
