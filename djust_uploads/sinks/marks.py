"""Marks beside the files of a Django storage that nobody has consumed yet.

A storage has no tags and can't rename. So each upload gets a small file of its own in a folder of
marks, before its first byte and until it is consumed, which says where the upload's bytes are and
since when. What a crash leaves has a mark; what the application keeps has none.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import Storage

_SALT = "djust_uploads.sinks.marks"


class Mark:
    """The mark of one upload. Blocking."""

    def __init__(self, storage: Storage, folder: str | None, key: str) -> None:
        self._storage = storage
        self._folder = folder
        self._key = key
        self._name: str | None = None

    def point_to(self, name: str) -> None:
        """Say that the bytes are at ``name`` from now on."""
        if self._folder is None:
            return
        before, wanted = self._name, f"{self._folder}/{self._key}"
        content = signing.dumps({"name": name, "at": time.time()}, salt=_SALT)
        # Set first: a save that fails may leave a part of the mark.
        self._name = wanted
        self._name = self._storage.save(wanted, ContentFile(content.encode()))
        if before is not None and before != self._name:
            self._storage.delete(before)

    def clear(self) -> None:
        """Idempotent."""
        if self._name is not None:
            if self._storage.exists(self._name):
                self._storage.delete(self._name)
            self._name = None


def marked_before(storage: Storage, folder: str, before: float) -> Iterator[tuple[str, str]]:
    """The marks set at ``before`` (seconds since the epoch) or earlier, and where they point.

    A mark is signed: whoever can put files into the storage by another way, an application's own
    uploads for example, can't have a sweep delete what they name.
    """
    try:
        _folders, marks = storage.listdir(folder)
    except (FileNotFoundError, NotImplementedError):
        return
    for mark in marks:
        # Another sweep, or the owner, may be faster.
        with contextlib.suppress(FileNotFoundError, signing.BadSignature, UnicodeDecodeError):
            with storage.open(f"{folder}/{mark}") as file:
                content = signing.loads(file.read().decode(), salt=_SALT)
            if content["at"] <= before:
                yield f"{folder}/{mark}", content["name"]
