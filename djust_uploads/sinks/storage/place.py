"""A Django storage as the sink uses it: the threads, the names, and how files are written."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import posixpath
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import close_old_connections

from ...exceptions import SinkError, UploadError
from ..base import UploadInfo
from ..disk import translated
from ..keys import UploadTo, object_key
from ..marks import Mark

P = ParamSpec("P")
T = TypeVar("T")

#: What storages raise for a mode of ``open()`` that they do not have. Django's documentation does
#: not say which exception a storage must raise.
_NO_SUCH_MODE = (NotImplementedError, ValueError, TypeError, AttributeError)


class Place:
    """A storage, where an upload goes in it, and the threads in which it is called."""

    def __init__(
        self,
        storage: str | Storage,
        upload_to: UploadTo,
        *,
        spool: bool,
        threads: int,
        marks: str | None,
    ) -> None:
        #: The folder of the marks of files that nobody has consumed yet, or ``None``.
        self.marks = marks
        self._storage = storage
        self._upload_to = upload_to
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None
        #: Whether uploads must be spooled. ``None`` means that nobody has found out yet.
        self.spools: bool | None = spool or None
        self._trying = threading.Lock()

    @property
    def storage(self) -> Storage:
        """The storage. An alias is looked up in ``STORAGES`` at each use."""
        return storages[self._storage] if isinstance(self._storage, str) else self._storage

    # Calls

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread of this place, and return what it returns.

        Raises errors of the storage as a :class:`SinkError` or one of its subclasses.
        """
        with _translated():
            return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin to run ``function`` in a thread of this place."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, "djust-uploads-storage")
        call = partial(_call, function, *args, **kwargs)
        return self._executor.submit(contextvars.copy_context().run, call)

    async def aclose(self) -> None:
        """Wait for the calls that are running, and end the threads."""
        executor, self._executor = self._executor, None
        if executor:
            await asyncio.to_thread(executor.shutdown)

    # Names. These methods block.

    def mark(self, upload: UploadInfo) -> Mark:
        """Return the mark of an upload."""
        return Mark(self.storage, self.marks, upload.key)

    def key_for(self, upload: UploadInfo) -> str:
        """Return the name that ``upload_to`` gives an upload, as the storage spells it."""
        key: str = self.storage.generate_filename(object_key(self._upload_to, upload))
        return key

    def free_name(self, wanted: str) -> str:
        """Return ``wanted`` if no file has that name, or else a similar name that no file has."""
        storage = self.storage
        name: str = storage.get_available_name(wanted)
        # Some storages call a name available although they would overwrite a file.
        while storage.exists(name):
            root, extension = posixpath.splitext(wanted)
            name = storage.get_alternative_name(root, extension)
        return name

    def find_out(self, name: str) -> None:
        """Find out whether uploads must be spooled, by writing a file ``name`` and deleting it.

        Some storages refuse the mode ``"wb"``, and some return a file whose bytes they do not
        store.
        """
        with self._trying:
            if self.spools is None:
                self.spools = not _takes_open_for_writing(self.storage, name)


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


def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # A storage may use the database. No request ends in this thread, so we close its connections.
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of a storage as ours.

    An ``OSError`` becomes the subclass of :class:`SinkError` that its number means. Errors of an
    SDK become a plain :class:`SinkError`.
    """
    try:
        with translated("storage"):
            yield
    except UploadError:
        raise
    except Exception as exc:
        raise SinkError(f"{type(exc).__name__}: {exc}") from exc
