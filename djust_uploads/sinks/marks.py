"""Marks beside files that nobody has consumed yet, where a store has no tags that go away again.

Each upload gets a small file of its own in a folder of marks, before its first byte and until it is
consumed, which says where the upload's bytes are and since when. What a crash leaves has a mark;
what the application keeps has none.

A mark is signed: whoever can put files into the store by another way, an application's own uploads
for example, can't have a sweep delete what they name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import Storage

_SALT = "djust_uploads.sinks.marks"


def mark_of(name: str) -> bytes:
    """The content of a mark that says: since now, an upload's bytes are at ``name``."""
    return signing.dumps({"name": name, "at": time.time()}, salt=_SALT).encode()


def name_in(mark: bytes, before: float) -> str | None:
    """Where the mark points, if it was set at ``before`` (seconds since the epoch) or earlier and
    is one of ours."""
    try:
        content = signing.loads(mark.decode(), salt=_SALT)
    except (signing.BadSignature, UnicodeDecodeError):
        return None
    return str(content["name"]) if content["at"] <= before else None


class Mark:
    """The mark of one upload in a Django storage. Blocking."""

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
        # Set first: a save that fails may leave a part of the mark.
        self._name = wanted
        self._name = self._storage.save(wanted, ContentFile(mark_of(name)))
        if before is not None and before != self._name:
            self._storage.delete(before)

    def clear(self) -> None:
        """Idempotent."""
        if self._name is not None:
            if self._storage.exists(self._name):
                self._storage.delete(self._name)
            self._name = None


def marked_before(storage: Storage, folder: str, before: float) -> Iterator[tuple[str, str]]:
    """The marks in a Django storage set at ``before`` or earlier, and where they point."""
    try:
        _folders, marks = storage.listdir(folder)
    except (FileNotFoundError, NotImplementedError):
        return
    for mark in marks:
        # Another sweep, or the owner, may be faster.
        with contextlib.suppress(FileNotFoundError):
            with storage.open(f"{folder}/{mark}") as file:
                name = name_in(file.read(), before)
            if name is not None:
                yield f"{folder}/{mark}", name
