"""An object in a Google Cloud Storage bucket as the application's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...files import SinkFile
from ...ranges import RangeReader

if TYPE_CHECKING:
    from .sink import GCSSink


class GCSFile(SinkFile):
    """Reads by ranges, with read-ahead. ``metadata`` has ``bucket``, ``key``, ``generation`` and
    ``crc32c``."""

    def __init__(
        self, sink: GCSSink, key: str, stored: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        self.key = key
        self._sink = sink
        # Of an object that was replaced meanwhile, no range fits the others.
        self._generation = str(stored["generation"])
        metadata = {
            "bucket": sink.bucket,
            "key": key,
            "generation": self._generation,
            "crc32c": stored["crc32c"],
        }
        super().__init__(*args, metadata=metadata, **kwargs)

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        return self._sink.api.fetch(self.key, self._generation, start, end)

    @property
    def url(self) -> str:
        """Plain, under ``custom_domain`` or if everybody may read; else signed, good for
        ``url_expires`` seconds. Asks nobody."""
        return self._sink.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._sink.call(self._sink.api.delete, self.key, self._generation)

    async def akeep(self) -> None:
        await self._sink.keep(self.key, self._generation)
