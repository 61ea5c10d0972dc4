"""Checks of a sink's ``OPTIONS``, and what several sinks do with an option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.http import content_disposition_header

from .base import UploadInfo

DISPOSITIONS = ("attachment", "inline", None)

#: The most seconds for which a signed URL is valid. All providers have the same limit, a week:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
#: https://cloud.google.com/storage/docs/access-control/signed-urls
MAX_URL_EXPIRES = 7 * 24 * 3600


def refuse_wrong(*options: tuple[str, Any, Any, str]) -> None:
    """Raise ``ValueError`` for the first option that is not accepted.

    Each option is given as its name, its value, whether the value is accepted, and a text that says
    what is accepted.
    """
    for name, value, holds, accepted in options:
        if not holds:
            raise ValueError(f"{name} must be {accepted}. Got: {value!r}")


def is_endpoint(url: str | None) -> bool:
    """Return whether a URL can be the endpoint of a store.

    ``None`` stands for the provider's own endpoint.
    """
    return url is None or bool(re.match(r"https?://[^/]+", url))


def is_text(metadata: Mapping[str, Any]) -> bool:
    """Return whether all names and values are strings."""
    return all(isinstance(text, str) for pair in metadata.items() for text in pair)


def disposition_of(disposition: str, upload: UploadInfo) -> str:
    """Return the ``Content-Disposition`` with the client's file name."""
    return content_disposition_header(disposition == "attachment", upload.client_name) or ""


def is_encrypted(endpoint_url: str | None) -> bool:
    """Return whether nobody else can read the bytes on their way to the store.

    That is so if the endpoint uses TLS or is on this machine. ``None`` stands for the provider's
    own endpoint.
    """
    url = urlsplit(endpoint_url or "https://")
    return url.scheme == "https" or url.hostname in ("localhost", "127.0.0.1", "::1")
