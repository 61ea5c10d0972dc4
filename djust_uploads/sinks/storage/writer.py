"""One file on its way into a Django storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...flow.gathering import GATHER, Gathering
from ..base import SinkWriter
from .file import StorageFile

if TYPE_CHECKING:
    from .place import Place
    from .stored_object import StoredObject


class StorageWriter(SinkWriter):
    """Gathers chunks and writes them into a storage in a thread.

    The ``offset`` is 0 until the writer has finished, because a storage does not say how many bytes
    of an open file are durable.
    """

    offset: int

    def __init__(self, place: Place, stored: StoredObject) -> None:
        self._place = place
        self._stored = stored
        self._gathering = Gathering(GATHER)
        self._written = 0
        self._file: StorageFile | None = None

    async def write(self, chunk: bytes) -> None:
        if self._gathering.add(chunk):
            await self._flush()

    async def _flush(self) -> None:
        gathered = self._gathering
        await self._place.call(self._stored.write, gathered.chunks, self._written)
        self._written += gathered.size
        gathered.take()

    async def finish(self) -> StorageFile:
        if self._file is None:
            if self._gathering.chunks:
                await self._flush()
            await self._place.call(self._stored.finish)
            self.offset = self._written
            self._file = StorageFile(self._place, self._stored)
        return self._file

    async def abort(self) -> None:
        self._gathering.take()
        await self._place.call(self._stored.delete)
