"""An object that obstore stored as the application's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...files import SinkFile
from ...ranges import RangeReader

if TYPE_CHECKING:
    from .sink import ObjectStoreSink


class ObjectStoreFile(SinkFile):
    """Reads by ranges, with read-ahead. ``metadata`` has ``bucket``, ``key`` and ``etag``."""

    def __init__(
        self, sink: ObjectStoreSink, key: str, mark: str, etag: str, *args: Any, **kwargs: Any
    ) -> None:
        metadata = {"bucket": sink.bucket, "key": key, "etag": etag}
        super().__init__(*args, metadata=metadata, **kwargs)
        self.key = key
        self._sink = sink
        self._mark = mark
        self._etag = etag

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        # Of an object that was replaced meanwhile, no range fits the others.
        return self._sink.fetch(self.key, self._etag, start, end)

    @property
    def url(self) -> str:
        """Plain, under ``custom_domain``; else signed and good for ``url_expires`` seconds. Asks
        nobody where the sink has a key to sign with. Without one, Google or Azure is asked, which
        blocks."""
        return self._sink.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._sink.delete(self.key)
        await self._sink.unmark(self._mark)

    async def akeep(self) -> None:
        await self._sink.unmark(self._mark)
