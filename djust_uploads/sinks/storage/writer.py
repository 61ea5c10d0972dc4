"""One file on its way into a Django storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...flow.budget import gather_size
from ..base import SinkWriter
from ..temporary_file import GATHER
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
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._written = 0
        self._file: StorageFile | None = None

    async def write(self, chunk: bytes) -> None:
        self._gathered += len(chunk)
        self._chunks.append(chunk)
        if self._gathered >= gather_size(GATHER):
            await self._flush()

    async def _flush(self) -> None:
        await self._place.call(self._stored.write, self._chunks, self._written)
        self._written += self._gathered
        self._chunks, self._gathered = [], 0

    async def finish(self) -> StorageFile:
        if self._file is None:
            if self._chunks:
                await self._flush()
            await self._place.call(self._stored.finish)
            self.offset = self._written
            self._file = StorageFile(self._place, self._stored)
        return self._file

    async def abort(self) -> None:
        self._chunks.clear()
        await self._place.call(self._stored.delete)
