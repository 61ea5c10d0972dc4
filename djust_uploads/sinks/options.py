"""The ``OPTIONS`` of a sink, refused where they are given, and what several sinks make of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.http import content_disposition_header

from .base import UploadInfo

DISPOSITIONS = ("attachment", "inline", None)

#: A signature is good for a week at most, everywhere:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
#: https://cloud.google.com/storage/docs/access-control/signed-urls
MAX_URL_EXPIRES = 7 * 24 * 3600


def refuse_wrong(*options: tuple[str, Any, Any, str]) -> None:
    """Each: name, value, whether it can be, and what can be. Raises ``ValueError`` for the first
    that can't."""
    for name, value, holds, accepted in options:
        if not holds:
            raise ValueError(f"{name} must be {accepted}. Got: {value!r}")


def is_endpoint(url: str | None) -> bool:
    """Return whether a URL can be the endpoint of a store. ``None`` is the provider's own."""
    return url is None or bool(re.match(r"https?://[^/]+", url))


def is_text(metadata: Mapping[str, Any]) -> bool:
    """Return whether all names and values are strings."""
    return all(isinstance(text, str) for pair in metadata.items() for text in pair)


def disposition_of(disposition: str, upload: UploadInfo) -> str:
    """``Content-Disposition`` with the client's file name."""
    return content_disposition_header(disposition == "attachment", upload.client_name) or ""


def is_encrypted(endpoint_url: str | None) -> bool:
    """Whether nobody reads along on the way to the store: by TLS, or as it doesn't leave this
    machine. ``None`` is the provider's own endpoint."""
    url = urlsplit(endpoint_url or "https://")
    return url.scheme == "https" or url.hostname in ("localhost", "127.0.0.1", "::1")
