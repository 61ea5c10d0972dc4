"""Where an upload goes within a store: ``upload_to``, as Django's ``FileField`` has it."""

from __future__ import annotations

import datetime
import posixpath
from collections.abc import Callable

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.utils import validate_file_name

from ..exceptions import SinkMisconfigured
from .base import UploadInfo

UploadTo = str | Callable[[UploadInfo], str]


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
