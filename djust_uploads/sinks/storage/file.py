"""``StorageFile``: a file in a Django storage, as the application gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from django.core.files.storage import FileSystemStorage
from django.utils.asyncio import async_unsafe

from ...files import SinkFile
from ..links import save_link
from ..s3.copying import copy_to_s3, is_s3_storage, object_of

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from .place import Place
    from .stored_object import StoredObject


class StorageFile(SinkFile):
    """A file in a Django storage. ``metadata["key"]`` is its name there."""

    def __init__(self, place: Place, stored: StoredObject) -> None:
        super().__init__(
            stored.upload.safe_client_name,
            stored.upload.size,
            content_type=stored.upload.content_type,
            metadata={"key": stored.name},
        )
        self._place = place
        self._stored = stored

    @async_unsafe("Reading from a storage may block: use aread(), achunks() or asave().")
    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, self._place.storage.open(self._stored.name, "rb"))

    @async_unsafe("Saving to a storage may block: use 'await entry.asave()'.")
    def copy_to(self, storage: Storage, name: str) -> str | None:
        source, source_name = self._place.storage, self._stored.name
        saved = save_link(source, source_name, storage, name, self)
        if saved is None and is_s3_storage(storage):
            stored = object_of(source, source_name, self)
            return copy_to_s3(stored, storage, name, self) if stored else None
        return saved

    def name_in(self, storage: Storage) -> str | None:
        own = self._place.storage
        # ``default_storage`` is a lazy object, which is equal to what it stands for.
        if storage == own or _same_folder(storage, own):
            return self._stored.name
        return None

    @property
    def url(self) -> str:
        """The URL that the storage gives the file. Raises ``ValueError`` if it has no URLs."""
        try:
            return self._place.storage.url(self._stored.name)
        except NotImplementedError as exc:
            raise ValueError(f"{type(self._place.storage).__name__} has no URLs.") from exc

    async def akeep(self) -> None:
        await self._place.call(self._stored.keep)

    async def adelete(self) -> None:
        self.close()
        await self._place.call(self._stored.delete)


def _same_folder(storage: Storage, other: Storage) -> bool:
    # A subclass may store what it is given under another name.
    if not storage.__class__ is other.__class__ is FileSystemStorage:
        return False
    return bool(storage.location == other.location)
