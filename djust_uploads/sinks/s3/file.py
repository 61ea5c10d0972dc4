"""An object in a bucket as the application's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from django.utils.asyncio import async_unsafe

from ...exceptions import SinkError
from ...files import SinkFile
from ...ranges import RangeReader
from .copying import copy_to_s3, is_s3_storage
from .errors import is_missing

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from .sink import S3Sink


class S3File(SinkFile):
    """Reads by ranges, with read-ahead. ``metadata`` has ``bucket``, ``key`` and ``etag``."""

    def __init__(self, sink: S3Sink, key: str, etag: str, *args: Any, **kwargs: Any) -> None:
        metadata = {"bucket": sink.bucket, "key": key, "etag": etag}
        super().__init__(*args, metadata=metadata, **kwargs)
        self.key = key
        self._sink = sink
        self._etag = etag
        # Of a file that was overwritten meanwhile, no range fits the others.
        self._condition = {"IfMatch": etag} if etag else {}

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        return self._sink.fetch(self.key, start, end, **self._condition)

    @async_unsafe(
        "A file in a bucket is saved over the network, which would block this event loop. "
        "Use 'await entry.asave()'."
    )
    def copy_to(self, storage: Storage, name: str) -> str | None:
        if not is_s3_storage(storage):
            return None
        return copy_to_s3(self._sink.s3_object(self.key, self._etag), storage, name, self)

    @property
    def url(self) -> str:
        """Under ``custom_domain``, or else signed and good for ``url_expires`` seconds. Asks nobody
        but, when the SDK's credentials have expired, whoever issues those."""
        return self._sink.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._sink.delete(self.key)

    async def akeep(self) -> None:
        try:
            await self._sink.untag(self.key)
        except SinkError as error:
            # The application deleted or moved it.
            if not is_missing(error):
                raise
