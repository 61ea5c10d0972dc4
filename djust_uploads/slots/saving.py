"""Entries as records that another process reads, and the other way round."""

from __future__ import annotations

from ..resuming.saved import SavedUpload
from ..wire import Registration
from .entry import UploadEntry


def restored_entry(saved: SavedUpload) -> UploadEntry:
    """Return an entry as another process has saved it.

    How many bytes it has is not known yet, unless no sink was opened for it.
    """
    entry = UploadEntry(
        Registration(
            upload_name=saved.upload_name,
            ref=saved.ref,
            client_name=saved.client_name,
            client_type=saved.client_type,
            client_size=saved.client_size,
            client_relative_path=saved.client_relative_path,
            resumable=True,
            client_metadata=saved.client_metadata,
            expected_sha256=saved.expected_sha256,
            notes=saved.notes,
        ),
        saved.chunk_size,
    )
    entry.content_type = saved.content_type
    entry.sha256 = saved.sha256 or None
    entry.restored = not saved.has_begun
    return entry


def record_of(entry: UploadEntry, key: str = "", sink: str = "") -> SavedUpload:
    """Return what another process needs to know of an entry, without a checkpoint.

    ``key`` is the :attr:`UploadInfo.key` of the upload, and ``sink`` the name of its sink. An
    upload whose sink was not opened yet has neither.
    """
    return SavedUpload(
        ref=entry.ref,
        upload_name=entry.upload_name,
        client_name=entry.client_name,
        client_relative_path=entry.client_relative_path,
        client_type=entry.client_type,
        client_size=entry.client_size,
        content_type=entry.content_type,
        chunk_size=entry.chunk_size,
        key=key,
        sink=sink,
        status="uploading" if sink else "registered",
        client_metadata=entry.client_metadata,
        expected_sha256=entry.expected_sha256,
        notes=entry.notes,
    )
