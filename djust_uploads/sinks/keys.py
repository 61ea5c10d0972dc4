"""The key under which an upload is stored. ``upload_to`` works as in Django's ``FileField``."""

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

#: The name of the metadata by which an upload recognises an object that it has written. The upload
#: needs this if the answer to its request was lost.
OWNER = "djust-upload"


def object_key(upload_to: UploadTo, upload: UploadInfo) -> str:
    """Return the key that ``upload_to`` gives an upload.

    If ``upload_to`` is a callable, that is what it returns. If it is a prefix, ``strftime()``
    replaces codes such as ``%Y`` in it, and a name that nobody can guess and that ends in the
    client's safe name is appended.

    Raises :class:`~djust_uploads.exceptions.SinkMisconfigured` for a key that is empty, is absolute
    or leads out of the store; see :func:`django.core.files.utils.validate_file_name`.
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
    """Raise ``ValueError`` if ``upload_to`` is neither a string nor a callable."""
    if not isinstance(upload_to, str) and not callable(upload_to):
        raise ValueError(
            f"upload_to must be a prefix or a callable (upload) -> key. Got: {upload_to!r}"
        )


def literal_prefix(upload_to: UploadTo) -> str | None:
    """Return the text with which all keys begin: the prefix up to its first ``strftime()`` code.

    Returns ``None`` if ``upload_to`` is a callable, whose keys nobody else can know.
    """
    return None if callable(upload_to) else upload_to.partition("%")[0]


def key_taken(key: str) -> SinkMisconfigured:
    """Return the error that says that another object has the key."""
    return SinkMisconfigured(
        f"There is already an object {key!r}, and it is not overwritten. Check upload_to: it must "
        f"return another key for each upload."
    )


def public_url(domain: str, key: str) -> str:
    """Return the unsigned URL of an object under a public host.

    ``domain`` is the host, with or without a scheme.
    """
    scheme = "" if "://" in domain else "https://"
    return f"{scheme}{domain.rstrip('/')}/{quote(key)}"
