"""Where an upload goes within a store: ``upload_to``, as Django's ``FileField`` has it."""

from __future__ import annotations

import datetime
import posixpath
from collections.abc import Callable
from urllib.parse import quote

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.utils import validate_file_name

from ..exceptions import SinkMisconfigured
from .base import UploadInfo

UploadTo = str | Callable[[UploadInfo], str]

#: Metadata of every object that we write: whose it is, when the answer to a request got lost.
OWNER = "djust-upload"


def object_key(upload_to: UploadTo, upload: UploadInfo) -> str:
    """The key that ``upload_to`` means: a prefix, in which ``strftime`` replaces ``%Y`` and the
    like, before an unguessable name that ends in the safe one; or what a callable returns.

    Raises :class:`~djust_uploads.exceptions.SinkMisconfigured` for a key that leads out of the
    store, is absolute or empty: :func:`django.core.files.utils.validate_file_name`.
    """
    if callable(upload_to):
        key = upload_to(upload)
    else:
        prefix = datetime.datetime.now().strftime(upload_to)
        key = posixpath.join(prefix, f"{upload.key}-{upload.safe_client_name}")
    try:
        validate_file_name(key, allow_relative_path=True)
    except (SuspiciousFileOperation, TypeError) as exc:
        raise SinkMisconfigured(f"upload_to gave {key!r}, which is no key: {exc}") from exc
    return key


def check_upload_to(upload_to: object) -> None:
    """Raises ``ValueError`` for what is neither a prefix nor a callable."""
    if not isinstance(upload_to, str) and not callable(upload_to):
        raise ValueError(
            f"upload_to must be a prefix or a callable (upload) -> key. Got: {upload_to!r}"
        )


def literal_prefix(upload_to: UploadTo) -> str | None:
    """What all keys begin with: the prefix up to its first ``strftime`` code. ``None`` if only a
    callable knows."""
    return None if callable(upload_to) else upload_to.partition("%")[0]


def key_taken(key: str) -> SinkMisconfigured:
    return SinkMisconfigured(
        f"There is an object {key!r} already, and it stays. Check upload_to: it must return "
        f"another key for each upload."
    )


def public_url(domain: str, key: str) -> str:
    """The plain URL of an object under a public host, given with or without its scheme."""
    scheme = "" if "://" in domain else "https://"
    return f"{scheme}{domain.rstrip('/')}/{quote(key)}"
