"""What sinks ask of the storages of django-storages.

Nothing of that package is imported here: where there is such a storage, its module is there.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.files.storage import Storage


def is_of(storage: Storage, module: str, name: str) -> bool:
    """Return whether a storage is of this class of a module, or of a subclass."""
    found = sys.modules.get(module)
    return found is not None and isinstance(storage, getattr(found, name))


def has_own(storage: Storage, module: str, name: str, *methods: str) -> bool:
    """Return whether a storage uses these methods of that class itself.

    A subclass that overrides them may change the bytes. ``__class__`` is asked because the type of
    ``default_storage`` is a lazy object.
    """
    own = getattr(sys.modules[module], name)
    return all(getattr(storage.__class__, each) is getattr(own, each) for each in methods)


def key_of(storage: Any, name: str) -> str:
    """Return the key of the object that a storage of S3 or Google has under ``name``."""
    key: str = storage._normalize_name(sys.modules["storages.utils"].clean_name(name))
    return key


def name_of_key(storage: Any, key: str) -> str | None:
    """Return the name of an object in a storage of S3 or Google that has its bucket.

    Returns ``None`` for an object outside of the storage's ``location``.
    """
    folder = storage.location.strip("/")
    name = key.removeprefix(f"{folder}/") if folder else key
    return name if key_of(storage, name) == key else None
