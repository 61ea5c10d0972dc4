"""One upload in a Django storage, in blocking calls."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, cast

from django.conf import settings
from django.core.files.base import ContentFile, File

from ..exceptions import SinkError
from .base import UploadInfo

if TYPE_CHECKING:
    from .storage import StorageSink

#: Bytes of a spooled upload that stay in memory.
_SPOOLED_IN_MEMORY = 1024 * 1024


class StoredObject:
    """One upload's file in the storage, and its mark. Blocking; one call at a time, since a call
    whose waiter was cancelled goes on in its thread."""

    def __init__(self, sink: StorageSink, upload: UploadInfo) -> None:
        self.sink = sink
        self.upload = upload
        self.name = ""
        self._key = ""
        self._storage = sink.storage
        self._mark = sink.mark(upload)
        self._target: IO[bytes] | None = None
        self._spool: IO[bytes] | None = None
        #: Whether a write failed: it may have left a part of its bytes.
        self._torn = False
        self._finished = self._deleted = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            if self._deleted:
                raise SinkError(f"{self.name} was deleted")
            yield

    def begin(self) -> None:
        with self._alone():
            self._key = self.sink.key_for(self.upload)
            if not (self.sink.spools or self._must_spool()):
                self._take_name()
                self._reserve()
                self._target = cast("IO[bytes]", self._storage.open(self.name, "wb"))
            else:
                self._spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115
                    _SPOOLED_IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR
                )

    def _must_spool(self) -> bool:
        self._take_name()
        must = self.sink.must_spool(self.name)
        self._mark.clear()
        self.name = ""
        return must

    def _take_name(self) -> None:
        """Right before something is saved: until then somebody else may take the same name, and
        what they store must not be ours to delete."""
        self.name = self.sink.free_name(self._key)
        self._mark.point_to(self.name)

    def _reserve(self) -> None:
        """An empty file: save() makes its folder, gives it the permissions from the settings, and
        where the storage can, takes no name that somebody else has just taken."""
        self._moved_to(self._storage.save(self.name, ContentFile(b"")))

    def _moved_to(self, name: str) -> None:
        if name != self.name:
            self._mark.point_to(name)
            self.name = name

    def write(self, chunks: Sequence[bytes], offset: int) -> None:
        with self._alone():
            target = self._target or self._spool
            assert target
            if self._torn:
                target.seek(offset)
            self._torn = True
            for chunk in chunks:
                target.write(chunk)
            # Now, as a close that fails can't be tried again.
            target.flush()
            self._torn = False

    def finish(self) -> None:
        with self._alone():
            if self._finished:
                return
            if self._target:
                self._close_target(self._target)
            else:
                self._save_spool()
            self._finished = True

    def _close_target(self, target: IO[bytes]) -> None:
        target.close()
        size = self._storage.size(self.name)
        if size != self.upload.size:
            raise SinkError(f"{self.name} has {size} bytes instead of {self.upload.size}")

    def _save_spool(self) -> None:
        assert self._spool
        self._take_name()
        self._spool.seek(0)
        content = File(self._spool, self.name)
        # django-storages asks for it.
        content.content_type = self.upload.content_type  # type: ignore[attr-defined]
        try:
            self._moved_to(self._storage.save(self.name, content))
        except Exception:
            # The name was free: what is there now is a part of ours, and in the way of a retry.
            with contextlib.suppress(Exception):
                self._remove()
            raise
        self._spool.close()

    def keep(self) -> None:
        with self._lock:
            self._mark.clear()

    def delete(self) -> None:
        """Idempotent, and again after it failed."""
        with self._lock:
            self._deleted = True
            for file in (self._target, self._spool):
                with contextlib.suppress(Exception):
                    if file:
                        file.close()
            self._remove()
            self._mark.clear()

    def _remove(self) -> None:
        if self.name and self._storage.exists(self.name):
            self._storage.delete(self.name)
