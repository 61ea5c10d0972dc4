"""``ObjectStoreFile``: an object that obstore has stored, as the application gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...files import SinkFile
from ...ranges import RangeReader
from ..django_storages import name_of_key
from ..s3.copying import is_s3_storage, object_of

if TYPE_CHECKING:
    from django.core.files.storage import Storage

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

    def name_in(self, storage: Storage) -> str | None:
        if not is_s3_storage(storage):
            return None
        name = name_of_key(storage, self.key)
        # The two may name their service in different ways. The ETag shows that it is one.
        found = object_of(storage, name, self) if name is not None else None
        if found is None or found.bucket != self._bucket.name:
            return None
        return name if found.etag.strip('"') == self._etag.strip('"') else None

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
