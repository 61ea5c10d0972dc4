"""``ObjectStoreFile``: an object that obstore has stored, as the application gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...files import SinkFile
from ...ranges import RangeReader

if TYPE_CHECKING:
    from .bucket import Bucket


class ObjectStoreFile(SinkFile):
    """An object that is read by ranges, with read-ahead.

    ``metadata`` has ``bucket``, ``key`` and ``etag``.
    """

    def __init__(
        self, bucket: Bucket, key: str, mark: str, etag: str, *args: Any, **kwargs: Any
    ) -> None:
        metadata = {"bucket": bucket.name, "key": key, "etag": etag}
        super().__init__(*args, metadata=metadata, **kwargs)
        self.key = key
        self._bucket = bucket
        self._mark = mark
        self._etag = etag

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        # If the object was replaced, new ranges would not fit those that were read before. The
        # store refuses them, because the ETag has changed.
        return self._bucket.fetch(self.key, self._etag, start, end)

    @property
    def url(self) -> str:
        """The URL of the object.

        It is not signed if there is a ``custom_domain``. Otherwise it is signed, and valid for
        ``url_expires`` seconds. If the sink has no key to sign with, Google or Azure is asked for a
        signature, which blocks.
        """
        return self._bucket.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._bucket.delete(self.key)
        await self._bucket.unmark(self._mark)

    async def akeep(self) -> None:
        await self._bucket.unmark(self._mark)
