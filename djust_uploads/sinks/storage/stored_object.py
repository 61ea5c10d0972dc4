"""The calls to a Django storage for one upload. They block."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, cast

from django.conf import settings
from django.core.files.base import ContentFile, File

from ...exceptions import SinkError
from ..base import UploadInfo

if TYPE_CHECKING:
    from .place import Place


class StoredObject:
    """One upload's file in the storage, and its mark.

    If the task that waits for a method is cancelled, the method goes on in its thread. A method
    that is called then waits until it is done.
    """

    def __init__(self, place: Place, upload: UploadInfo) -> None:
        self._place = place
        self.upload = upload
        self.name: str = ""
        self._key = ""
        self._storage = place.storage
        self._mark = place.mark(upload)
        self._target: IO[bytes] | None = None
        self._spool: IO[bytes] | None = None
        #: Whether the last write has failed. It may have written a part of its bytes.
        self._torn = False
        self._deleted = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            if self._deleted:
                raise SinkError(f"{self.name} was deleted")
            yield

    def begin(self) -> None:
        """Choose a name and create the file, or begin to spool."""
        with self._alone():
            self._key = self._place.key_for(self.upload)
            if self._place.spools is None:
                self._find_out()
            if self._place.spools:
                # A SpooledTemporaryFile loses what it holds in memory if the disk is full when it
                # moves to the disk, so the file is on the disk from the beginning.
                directory = settings.FILE_UPLOAD_TEMP_DIR
                self._spool = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
            else:
                self._take_name()
                self._reserve()
                self._target = cast("IO[bytes]", self._storage.open(self.name, "wb"))

    def _find_out(self) -> None:
        self._take_name()
        self._place.find_out(self.name)
        self._mark.clear()
        self.name = ""

    def _take_name(self) -> None:
        """Choose a free name, and point the mark to it.

        This must happen right before the file is saved. In the meantime another upload could save a
        file under the name, and we would delete that file as if it were ours.
        """
        self.name = self._place.free_name(self._key)
        self._mark.point_to(self.name)

    def _reserve(self) -> None:
        """Save an empty file under the name.

        ``save()`` creates the folder, and sets the permissions that the settings name. If another
        file has just taken the name, most storages choose another name.
        """
        self._moved_to(self._storage.save(self.name, ContentFile(b"")))

    def _moved_to(self, name: str) -> None:
        if name != self.name:
            self._mark.point_to(name)
            self.name = name

    def write(self, chunks: Sequence[bytes | memoryview], offset: int) -> None:
        """Write the chunks at the byte ``offset``. May be called again after an error."""
        with self._alone():
            target = self._target or self._spool
            assert target
            if self._torn:
                target.seek(offset)
            self._torn = True
            for chunk in chunks:
                target.write(chunk)
            # The bytes are flushed now. A flush that fails can be repeated, and a close() cannot.
            target.flush()
            self._torn = False

    def finish(self) -> None:
        """Close the file, or save the spooled bytes. May be called again."""
        with self._alone():
            if self._target:
                self._close_target(self._target)
            elif self._spool:
                self._save_spool(self._spool)

    def _close_target(self, target: IO[bytes]) -> None:
        target.close()
        size = self._storage.size(self.name)
        if size != self.upload.size:
            raise SinkError(f"{self.name} has {size} bytes instead of {self.upload.size}")

    def _save_spool(self, spool: IO[bytes]) -> None:
        self._take_name()
        spool.seek(0)
        content = File(spool, self.name)
        # django-storages reads this attribute.
        content.content_type = self.upload.content_type  # type: ignore[attr-defined]
        try:
            self._moved_to(self._storage.save(self.name, content))
        except Exception:
            # The name was free, so a file of this name is now a part of ours. The next attempt
            # would otherwise have to take another name.
            with contextlib.suppress(Exception):
                self._remove()
            raise
        spool.close()
        self._spool = None

    def keep(self) -> None:
        """Delete the mark, because the application has consumed the file."""
        with self._lock:
            self._mark.clear()

    def delete(self) -> None:
        """Delete the file and its mark. May be called again, even after an error."""
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
