"""``S3File``: an object in a bucket, as the application gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from django.utils.asyncio import async_unsafe

from ...exceptions import SinkError
from ...files import SinkFile
from ...ranges import RangeReader
from .copying import copy_to_s3, is_s3_storage, name_of
from .errors import is_missing

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from .bucket import Bucket


class S3File(SinkFile):
    """An object that is read by ranges, with read-ahead.

    ``metadata`` has ``bucket``, ``key`` and ``etag``.
    """

    def __init__(self, bucket: Bucket, key: str, etag: str, *args: Any, **kwargs: Any) -> None:
        metadata = {"bucket": bucket.name, "key": key, "etag": etag}
        super().__init__(*args, metadata=metadata, **kwargs)
        self.key = key
        self._bucket = bucket
        self._etag = etag
        # If the object is overwritten, new ranges would not fit those that were read before. With
        # this condition, the store refuses them.
        self._condition = {"IfMatch": etag} if etag else {}

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        return self._bucket.fetch(self.key, start, end, **self._condition)

    @async_unsafe(
        "A file in a bucket is saved over the network, which would block this event loop. "
        "Use 'await entry.asave()'."
    )
    def copy_to(self, storage: Storage, name: str) -> str | None:
        if not is_s3_storage(storage):
            return None
        return copy_to_s3(self._bucket.s3_object(self.key, self._etag), storage, name, self)

    def name_in(self, storage: Storage) -> str | None:
        if not is_s3_storage(storage):
            return None
        return name_of(self._bucket.s3_object(self.key, self._etag), storage)

    @property
    def url(self) -> str:
        """The URL of the object.

        It is not signed if there is a ``custom_domain``. Otherwise it is signed, and valid for
        ``url_expires`` seconds. No request is made for it, unless the SDK's credentials have
        expired. Then the SDK asks the service that issues them, which blocks.
        """
        return self._bucket.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._bucket.delete(self.key)

    async def akeep(self) -> None:
        try:
            await self._bucket.untag(self.key)
        except SinkError as error:
            # The application may have deleted or moved the object.
            if not is_missing(error):
                raise
