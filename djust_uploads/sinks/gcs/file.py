"""``GCSFile``: an object in a Google Cloud Storage bucket, as the application gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...files import SinkFile
from ...ranges import RangeReader
from .naming import is_google_storage, name_of

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from .bucket import Bucket


class GCSFile(SinkFile):
    """An object that is read by ranges, with read-ahead.

    ``metadata`` has ``bucket``, ``key``, ``generation`` and ``crc32c``.
    """

    def __init__(
        self, bucket: Bucket, key: str, stored: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        self.key = key
        self._bucket = bucket
        # If the object is replaced, new ranges would not fit those that were read before. The store
        # refuses to read another generation.
        self._generation = str(stored["generation"])
        metadata = {
            "bucket": bucket.name,
            "key": key,
            "generation": self._generation,
            "crc32c": stored["crc32c"],
        }
        super().__init__(*args, metadata=metadata, **kwargs)

    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, RangeReader(self.size, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        return self._bucket.api.fetch(self.key, self._generation, start, end)

    def name_in(self, storage: Storage) -> str | None:
        if not is_google_storage(storage):
            return None
        return name_of(self._bucket.name, self.key, self._bucket.base_url(), storage)

    @property
    def url(self) -> str:
        """The URL of the object.

        It is not signed if there is a ``custom_domain``, or if everybody may read the object.
        Otherwise it is signed, and valid for ``url_expires`` seconds. No request is made for it.
        """
        return self._bucket.url(self.key)

    async def adelete(self) -> None:
        self.close()
        await self._bucket.call(self._bucket.api.delete, self.key, self._generation)

    async def akeep(self) -> None:
        await self._bucket.keep(self.key, self._generation)
