"""Marks of files that nobody has consumed yet, for stores without tags that can be removed.

A mark is a small file in a folder of marks. Each upload gets one before its first byte is stored,
and loses it when it is consumed. The mark says where the upload's bytes are, and since when. So a
file that a crash has left behind has a mark, and a file that the application keeps has none.

Marks are signed. Somebody else who can put files into the store, for example another application,
cannot make a sweep delete a file by writing a mark for it.
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
    """Return the content of a mark which says that an upload's bytes are at ``name`` since now."""
    return signing.dumps({"name": name, "at": time.time()}, salt=_SALT).encode()


def name_in(mark: bytes, before: float) -> str | None:
    """Return the name to which a mark points, if we signed it and set it at ``before`` or earlier.

    ``before`` is in seconds since the epoch. For any other mark, ``None`` is returned.
    """
    try:
        content = signing.loads(mark.decode(), salt=_SALT)
    except (signing.BadSignature, UnicodeDecodeError):
        return None
    return str(content["name"]) if content["at"] <= before else None


class Mark:
    """The mark of one upload in a Django storage. Its methods block.

    ``folder`` is the folder of marks, or ``None`` if the sink uses no marks.
    """

    def __init__(self, storage: Storage, folder: str | None, key: str) -> None:
        self._storage = storage
        self._folder = folder
        self._key = key
        self._name: str | None = None

    def point_to(self, name: str) -> None:
        """Store that the bytes are at ``name`` from now on."""
        if self._folder is None:
            return
        before, wanted = self._name, f"{self._folder}/{self._key}"
        # The name is set before the save, because a save that fails may leave a part of the mark.
        self._name = wanted
        self._name = self._storage.save(wanted, ContentFile(mark_of(name)))
        if before is not None and before != self._name:
            self._storage.delete(before)

    def clear(self) -> None:
        """Delete the mark. May be called again."""
        if self._name is not None:
            if self._storage.exists(self._name):
                self._storage.delete(self._name)
            self._name = None


def marked_before(storage: Storage, folder: str, before: float) -> Iterator[tuple[str, str]]:
    """Yield the names of marks that were set at ``before`` or earlier, and where each one points.

    ``before`` is in seconds since the epoch. Blocks.
    """
    try:
        _folders, marks = storage.listdir(folder)
    except (FileNotFoundError, NotImplementedError):
        return
    for mark in marks:
        # Another sweep, or the upload itself, may have deleted the mark meanwhile.
        with contextlib.suppress(FileNotFoundError):
            with storage.open(f"{folder}/{mark}") as file:
                name = name_in(file.read(), before)
            if name is not None:
                yield f"{folder}/{mark}", name
