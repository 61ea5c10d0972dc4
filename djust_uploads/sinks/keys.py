"""What an object is called in a store of keys."""

from __future__ import annotations

import datetime
import posixpath
from collections.abc import Callable

from django.utils import timezone

from .base import UploadInfo

UploadTo = str | Callable[[UploadInfo], str]


def object_key(upload_to: UploadTo, upload: UploadInfo) -> str:
    """The key for ``upload``. As Django's ``upload_to``, a string is a prefix for ``strftime()``
    and a callable returns the whole key. After a prefix comes what can't be guessed, then the safe
    name. Raises ``ValueError`` for a key that is empty or begins with a slash.
    """
    if callable(upload_to):
        key = upload_to(upload)
    else:
        name = f"{upload.key}-{upload.safe_client_name}"
        key = posixpath.join(_now().strftime(upload_to), name)
    if not key or key.startswith("/"):
        raise ValueError(f"upload_to must make a key without a leading slash. Got: {key!r}")
    return key


def _now() -> datetime.datetime:
    # In the current time zone where there is one, as Django's FileField.
    now = timezone.now()
    return timezone.localtime(now) if timezone.is_aware(now) else now


def literal_prefix(upload_to: UploadTo) -> str | None:
    """What all keys begin with: the prefix up to its first ``strftime()`` code. ``None`` if only a
    callable knows."""
    return None if callable(upload_to) else upload_to.partition("%")[0]
