"""Finds an object among the files of a ``GoogleCloudStorage`` of django-storages."""

from __future__ import annotations

import sys
from typing import Any

from django.core.files.storage import Storage

from ..keys import name_below


def is_google_storage(storage: Storage) -> bool:
    """Return whether a storage is a ``GoogleCloudStorage`` of django-storages, or of a subclass."""
    module = sys.modules.get("storages.backends.gcloud")
    return module is not None and isinstance(storage, module.GoogleCloudStorage)


def name_of(bucket: str, key: str, base_url: str, storage: Any) -> str | None:
    """Return the name of an object in a ``GoogleCloudStorage``, if the storage has its bucket.

    Returns ``None`` for another bucket or service, for an object outside of the storage's
    ``location``, and for a storage that reads objects in a way of its own. Blocks.
    """
    own = sys.modules["storages.backends.gcloud"].GoogleCloudStorage
    # A subclass that overrides them may change the bytes. ``__class__`` is asked because the type
    # of ``default_storage`` is a lazy object.
    if any(
        getattr(storage.__class__, name) is not getattr(own, name) for name in ("open", "_open")
    ):
        return None
    if storage.bucket_name != bucket:
        return None
    if storage.client._connection.get_api_base_url_for_mtls() != base_url:
        return None
    name = name_below(storage.location, key)
    clean_name = sys.modules["storages.utils"].clean_name
    return name if storage._normalize_name(clean_name(name)) == key else None
