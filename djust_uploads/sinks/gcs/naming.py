"""Finds an object among the files of a ``GoogleCloudStorage`` of django-storages."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import Storage

from ..django_storages import has_own, is_of, name_of_key

GOOGLE_STORAGE = ("storages.backends.gcloud", "GoogleCloudStorage")


def is_google_storage(storage: Storage) -> bool:
    """Return whether a storage is a ``GoogleCloudStorage`` of django-storages, or of a subclass."""
    return is_of(storage, *GOOGLE_STORAGE)


def name_of(bucket: str, key: str, base_url: str, storage: Any) -> str | None:
    """Return the name of an object in a ``GoogleCloudStorage``, if the storage has its bucket.

    Returns ``None`` for another bucket or service, for an object outside of the storage's
    ``location``, and for a storage that reads objects in a way of its own. Blocks.
    """
    if not has_own(storage, *GOOGLE_STORAGE, "open", "_open") or storage.bucket_name != bucket:
        return None
    if storage.client._connection.get_api_base_url_for_mtls() != base_url:
        return None
    return name_of_key(storage, key)
