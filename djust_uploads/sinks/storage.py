"""Uploads in a Django storage: any alias of ``STORAGES``."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import datetime
import posixpath
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from django.core.checks import CheckMessage, Error
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import close_old_connections
from django.utils.asyncio import async_unsafe

from ..exceptions import InvalidSink, SinkError, UploadError
from ..files import SinkFile
from ..flow.budget import gather_size
from .base import Sink, SinkWriter, UploadInfo
from .keys import UploadTo, check_upload_to, object_key
from .links import save_link
from .marks import Mark, marked_before
from .s3.copying import copy_to_s3, is_s3_storage, object_of
from .stored_object import StoredObject
from .temporary_file import GATHER, translated

P = ParamSpec("P")
T = TypeVar("T")

#: What storages raise for a mode that they don't have; Django's own documentation names none.
_NO_SUCH_MODE = (NotImplementedError, ValueError, TypeError, AttributeError)


class StorageSink(Sink):
    """Writes into a Django storage: local, django-storages, your own.

    ``storage``: an alias of ``STORAGES``, or a ``Storage``.
    ``upload_to``: a prefix such as ``"photos/%Y/%m/"``, or a callable ``(upload) -> key``. No file
    that is there already is ever overwritten, whatever the key.
    ``spool``: gather each upload in a temporary file and ``save()`` it at the end, instead of
    writing by ``open(…, "wb")``. A storage that has no such mode is found out, at the first upload.
    ``threads``: how many calls to the storage may run at once; they are this sink's own.
    ``marks``: the folder of marks by which a sweep knows files that nobody consumed; ``None`` for
    none, and then a crash leaves such files behind.

    A crash may also leave what a storage holds outside its names, such as the parts of a multipart
    upload that django-storages began: a lifecycle rule of the bucket is for those.

    Files stay when they are consumed. ``entry.file.metadata["key"]`` is the name in the storage,
    what a ``FileField`` takes.
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
        self._upload_to = upload_to
        self._threads = threads
        self._marks = marks
        self._executor: ThreadPoolExecutor | None = None
        #: Whether the storage must be spooled to; ``None`` before it was tried.
        self._spools: bool | None = spool or None
        self._trying = threading.Lock()

    @property
    def storage(self) -> Storage:
        return storages[self._storage] if isinstance(self._storage, str) else self._storage

    async def open(self, upload: UploadInfo) -> SinkWriter:
        stored = StoredObject(self, upload)
        try:
            await self.call(stored.begin)
        except BaseException as exc:
            # It may still run in its thread; this comes after it.
            deleting = self._submit(stored.delete)
            if isinstance(exc, Exception):
                # Whoever tries again must not meet what this one left.
                await asyncio.gather(asyncio.wrap_future(deleting), return_exceptions=True)
            raise
        return StorageWriter(self, stored)

    async def sweep(self, older_than: datetime.timedelta, *, dry_run: bool = False) -> list[str]:
        if self._marks is None:
            return []
        before = time.time() - older_than.total_seconds()
        return await self.call(_sweep, self.storage, self._marks, before, dry_run)

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
        executor, self._executor = self._executor, None
        if executor:
            await asyncio.to_thread(executor.shutdown)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread of this sink, with its errors as ours."""
        with _translated():
            return await asyncio.wrap_future(self._submit(function, *args, **kwargs))

    def _submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Any:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, "djust-uploads-storage")
        call = partial(_call, function, *args, **kwargs)
        return self._executor.submit(contextvars.copy_context().run, call)

    def mark(self, upload: UploadInfo) -> Mark:
        return Mark(self.storage, self._marks, upload.key)

    def key_for(self, upload: UploadInfo) -> str:
        """What ``upload_to`` means, as the storage spells it."""
        key: str = self.storage.generate_filename(object_key(self._upload_to, upload))
        return key

    def free_name(self, wanted: str) -> str:
        """``wanted``, or one like it that is not taken. Blocking."""
        storage = self.storage
        name: str = storage.get_available_name(wanted)
        # Some storages call a name available that they would overwrite.
        while storage.exists(name):
            root, extension = posixpath.splitext(wanted)
            name = storage.get_alternative_name(root, extension)
        return name

    @property
    def spools(self) -> bool:
        """Whether the storage is known to lose what is written by ``open(…, "wb")``."""
        return bool(self._spools)

    def must_spool(self, name: str) -> bool:
        """Find out, once, with a file of that name: some storages refuse the mode, and some hand
        out a file whose bytes go nowhere. Blocking."""
        with self._trying:
            if self._spools is None:
                self._spools = not _takes_open_for_writing(self.storage, name)
            return self._spools


def _takes_open_for_writing(storage: Storage, name: str) -> bool:
    name = storage.save(name, ContentFile(b""))
    try:
        with storage.open(name, "wb") as file:
            file.write(b"?")
        return bool(storage.size(name) == 1)
    except _NO_SUCH_MODE:
        return False
    finally:
        storage.delete(name)


class StorageWriter(SinkWriter):
    """Its ``offset`` is 0 until it finishes: what a storage has of an open file, it doesn't say."""

    def __init__(self, sink: StorageSink, stored: StoredObject) -> None:
        self._sink = sink
        self._stored = stored
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._written = 0
        self._file: StorageFile | None = None

    async def write(self, chunk: bytes) -> None:
        self._gathered += len(chunk)
        self._chunks.append(chunk)
        if self._gathered >= gather_size(GATHER):
            await self._flush()

    async def _flush(self) -> None:
        await self._sink.call(self._stored.write, self._chunks, self._written)
        self._written += self._gathered
        self._chunks, self._gathered = [], 0

    async def finish(self) -> StorageFile:
        if self._file is None:
            if self._chunks:
                await self._flush()
            await self._sink.call(self._stored.finish)
            self.offset = self._written
            self._file = StorageFile(self._sink, self._stored)
        return self._file

    async def abort(self) -> None:
        self._chunks.clear()
        await self._sink.call(self._stored.delete)


class StorageFile(SinkFile):
    """A file in a Django storage; ``metadata["key"]`` is its name there."""

    def __init__(self, sink: StorageSink, stored: StoredObject) -> None:
        super().__init__(
            stored.upload.safe_client_name,
            stored.upload.size,
            content_type=stored.upload.content_type,
            metadata={"key": stored.name},
        )
        self._sink = sink
        self._stored = stored

    @async_unsafe("A storage may be far away: use aread(), achunks() or asave() in async code.")
    def open_stored(self) -> BinaryIO:
        return cast(BinaryIO, self._sink.storage.open(self._stored.name, "rb"))

    @async_unsafe("A storage may be far away: use 'await entry.asave()' in async code.")
    def copy_to(self, storage: Storage, name: str) -> str | None:
        source, source_name = self._sink.storage, self._stored.name
        saved = save_link(source, source_name, storage, name, self)
        if saved is None and is_s3_storage(storage):
            stored = object_of(source, source_name, self)
            return copy_to_s3(stored, storage, name, self) if stored else None
        return saved

    @property
    def url(self) -> str:
        try:
            return self._sink.storage.url(self._stored.name)
        except NotImplementedError as exc:
            raise ValueError(f"{type(self._sink.storage).__name__} has no URLs.") from exc

    async def akeep(self) -> None:
        await self._sink.call(self._stored.keep)

    async def adelete(self) -> None:
        self.close()
        await self._sink.call(self._stored.delete)


def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # A storage may use the database; a connection of a thread that no request ends is ours to end.
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()


def _sweep(storage: Storage, folder: str, before: float, dry_run: bool) -> list[str]:
    swept = []
    for mark, name in marked_before(storage, folder, before):
        if not dry_run:
            if storage.exists(name):
                storage.delete(name)
            storage.delete(mark)
        swept.append(name)
    return swept


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """A storage's errors as ours: the system's by their number, a provider's as what they are."""
    try:
        with translated("storage"):
            yield
    except UploadError:
        raise
    except Exception as exc:
        raise SinkError(f"{type(exc).__name__}: {exc}") from exc
