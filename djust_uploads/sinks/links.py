"""A second name for a file of a Django ``FileSystemStorage``, in place of a copy."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.files.storage import FileSystemStorage, Storage

from ..files import LocalFile, SinkFile


def save_link(
    source: Storage, source_name: str, storage: Storage, name: str, file: SinkFile
) -> str | None:
    """Save ``file``, which is ``source_name`` in ``source``, as ``name`` in ``storage`` by a hard
    link, and return the name it got; ``None`` where that can't be. Blocking.

    The storage is given the link as a temporary file to rename, so the folders, a name that is
    free and the permissions are its own business.
    """
    if not _can_share(source, storage):
        return None
    path = source.path(source_name)
    link = f"{path}.{secrets.token_hex(8)}"
    try:
        os.link(path, link)
    except OSError:
        # The file system has none, or the file is gone.
        return None
    content = LocalFile(link, file.name or name, file.size, content_type=file.content_type)
    try:
        saved: str = storage.save(name, content)
        return saved
    finally:
        content.close()
        Path(link).unlink(missing_ok=True)


def _can_share(source: Storage, storage: Storage) -> bool:
    """Whether one file under two names is as good as two files: what the storages do to one (mode,
    group, writing over it) they would do to both, and what is on the disk must be the content."""
    if not (isinstance(source, FileSystemStorage) and isinstance(storage, FileSystemStorage)):
        return False
    return (
        source.location == storage.location
        and source.file_permissions_mode == storage.file_permissions_mode
        and not any(getattr(each, "_allow_overwrite", False) for each in (source, storage))
        and source.__class__.open is FileSystemStorage.open
        and source.__class__._open is FileSystemStorage._open  # type: ignore[attr-defined]
    )
