"""``StorageSink``: uploads in a Django storage."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Sequence

from django.core.checks import CheckMessage, Error
from django.core.files.storage import Storage, storages

from ...exceptions import InvalidSink
from ..base import Sink, SinkWriter, UploadInfo
from ..keys import UploadTo, check_upload_to
from ..marks import marked_before
from .place import Place
from .stored_object import StoredObject
from .writer import StorageWriter


class StorageSink(Sink):
    """Writes into a Django storage: a local one, one of django-storages, or your own.

    * ``storage``: an alias of ``STORAGES``, or a ``Storage``.
    * ``upload_to``: a prefix such as ``"photos/%Y/%m/"``, or a callable ``(upload) -> key``. A file
      that is there already is never overwritten, whatever the key is.
    * ``spool``: gather each upload in a temporary file and ``save()`` it at the end, instead of
      writing with ``open(name, "wb")``. The sink finds out at the first upload if a storage cannot
      be opened for writing.
    * ``threads``: how many calls to the storage may run at once. The threads belong to this sink.
    * ``marks``: the folder of marks by which a sweep knows files that nobody consumed. With
    ``None``
      there are no marks, and a crash leaves such files behind.

    A crash may also leave what a storage keeps without a name, such as the parts of a multipart
    upload that django-storages began. A lifecycle rule of the bucket must delete those.

    Files stay when they are consumed. ``entry.file.metadata["key"]`` is the name in the storage, as
    a ``FileField`` takes it.

    Raises :class:`~djust_uploads.exceptions.InvalidSink` for an unknown alias, and ``ValueError``
    for an option that is not accepted.
    """

    keeps_files = True

    def __init__(
        self,
        storage: str | Storage = "default",
        upload_to: UploadTo = "",
        *,
        spool: bool = False,
        threads: int = 8,
        marks: str | None = "unconsumed-uploads",
    ) -> None:
        if isinstance(storage, str) and storage not in storages.backends:
            raise InvalidSink(
                f"There is no storage {storage!r} in STORAGES. "
                f"Configured: {', '.join(sorted(storages.backends))}."
            )
        check_upload_to(upload_to)
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads must be an integer, at least 1. Got: {threads!r}")
        self._storage = storage
        self._place = Place(storage, upload_to, spool=spool, threads=threads, marks=marks)

    @property
    def storage(self) -> Storage:
        """The storage. An alias is looked up in ``STORAGES`` at each use."""
        return self._place.storage

    async def open(self, upload: UploadInfo) -> SinkWriter:
        place, stored = self._place, StoredObject(self._place, upload)
        try:
            await place.call(stored.begin)
        except BaseException as exc:
            # begin() may still run in its thread. delete() waits for it there.
            deleting = place.submit(stored.delete)
            if isinstance(exc, Exception):
                # The next attempt must not meet what this one has left.
                await asyncio.gather(asyncio.wrap_future(deleting), return_exceptions=True)
            raise
        return StorageWriter(place, stored)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        if self._place.marks is None:
            return []
        before = time.time() - older_than.total_seconds()
        return await self._place.call(_sweep, self.storage, self._place.marks, before, dry_run)

    def check(self) -> Sequence[CheckMessage]:
        try:
            _ = self.storage
        except Exception as exc:
            return [
                Error(
                    f"The storage {self._storage!r} of an upload sink can't be made: {exc}",
                    hint="Check its BACKEND and OPTIONS in STORAGES.",
                    id="djust_uploads.E007",
                )
            ]
        return []

    async def aclose(self) -> None:
        await self._place.aclose()


def _sweep(storage: Storage, folder: str, before: float, dry_run: bool) -> list[str]:
    swept = []
    for mark, name in marked_before(storage, folder, before):
        if not dry_run:
            if storage.exists(name):
                storage.delete(name)
            storage.delete(mark)
        swept.append(name)
    return swept
