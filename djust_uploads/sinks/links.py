"""Saves a file of a Django ``FileSystemStorage`` under a second name, by a hard link."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.files.storage import FileSystemStorage, Storage

from ..files import LocalFile, SinkFile


def save_link(
    source: Storage, source_name: str, storage: Storage, name: str, file: SinkFile
) -> str | None:
    """Save ``file`` as ``name`` in ``storage`` by a hard link, and return the name that it got.

    ``file`` is stored as ``source_name`` in ``source``. Returns ``None`` if a hard link is not
    possible. Blocks.

    The storage gets the link as a temporary file, and renames it. So the storage itself creates the
    folders, finds a free name and sets the permissions.
    """
    if not _can_share(source, storage):
        return None
    path = source.path(source_name)
    link = f"{path}.{secrets.token_hex(8)}"
    try:
        os.link(path, link)
    except OSError:
        # The file system has no hard links, or the file is gone.
        return None
    content = LocalFile(link, file.name or name, file.size, content_type=file.content_type)
    try:
        saved: str = storage.save(name, content)
        return saved
    finally:
        content.close()
        Path(link).unlink(missing_ok=True)


def _can_share(source: Storage, storage: Storage) -> bool:
    """Return whether one file may have a name in each storage.

    What a storage does to a file by one name (set its mode or its group, overwrite it) happens to
    the file by both names. So the storages must treat files alike and must not overwrite them. The
    bytes on the disk must be the content, so a storage with its own ``open()`` is refused.
    """
    if not (isinstance(source, FileSystemStorage) and isinstance(storage, FileSystemStorage)):
        return False
    return (
        source.location == storage.location
        and source.file_permissions_mode == storage.file_permissions_mode
        and not any(getattr(each, "_allow_overwrite", False) for each in (source, storage))
        and source.__class__.open is FileSystemStorage.open
        and source.__class__._open is FileSystemStorage._open  # type: ignore[attr-defined]
    )
