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
    """Writes uploads into a Django storage: a local one, one of django-storages, or your own.

    Files stay in the storage when they are consumed. ``entry.file.metadata["key"]`` is the name in
    the storage. It can be assigned to a ``FileField``. Uploads can be resumed in the same process
    only.

    :param storage: An alias of ``STORAGES``, or a ``Storage`` instance.
    :param upload_to: A prefix such as ``"photos/%Y/%m/"``, in which ``strftime()`` replaces the
        codes, or a callable that takes an :class:`~djust_uploads.UploadInfo` and returns the key. A
        file that exists already is never overwritten, whatever the key is.
    :param spool: Whether to gather each upload in a temporary file and ``save()`` it at the end,
        instead of writing with ``open(name, "wb")``. If a storage cannot be opened for writing, the
        sink notices at the first upload and spools.
    :param threads: How many calls to the storage may run at once. The threads belong to this sink.
    :param marks: The folder in the storage for marks, by which a sweep recognises files that nobody
        has consumed. With ``None`` there are no marks, and files that a crash leaves behind stay.

    A crash may also leave behind what a storage keeps without a name, such as the parts of a
    multipart upload that django-storages began. A lifecycle rule of the bucket must delete those.

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
            # If this task was cancelled, begin() may still run in its thread. delete() waits there
            # until begin() is done.
            deleting = place.submit(stored.delete)
            if isinstance(exc, Exception):
                # open() may be called again. What this call has left must be gone by then.
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
