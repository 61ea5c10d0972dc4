"""What Google Cloud Storage and its SDK say went wrong, as our errors.

Statuses: https://cloud.google.com/storage/docs/json_api/v1/status-codes. No error of ours, and no
cause of one, has a session URI in it: whoever reads that may write to the bucket.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

from ...exceptions import SinkError, SinkMisconfigured, SinkTimeout, SinkUnavailable
from .sdk import auth, requests

_SECRET = re.compile(r"upload_id=[^&\s\"'<>)]*")

#: Reasons of a 403 that are not about permissions.
_THROTTLED = {"rateLimitExceeded", "userRateLimitExceeded"}

#: Of a session: unknown, terminated, cancelled.
#: https://cloud.google.com/storage/docs/performing-resumable-uploads ("Handle errors", "Cancel")
GONE = {404, 410, 499}


class Refused(Exception):
    """The store's answer, where it was an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(" ".join(filter(None, (str(status), reason, message))))
        self.status = status
        self.reason = reason


def status_of(error: BaseException) -> int:
    """The HTTP status behind an error of ours, or 0."""
    cause = error.__cause__
    return cause.status if isinstance(cause, Refused) else 0


def without_secret(text: str) -> str:
    return _SECRET.sub("upload_id=…", text)


def _redacted(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(without_secret(a) if isinstance(a, str) else a for a in record.args)
    if request := getattr(record, "httpRequest", None):
        request["url"] = without_secret(request["url"])
    return True


# At the level DEBUG, they log the URL of each request.
for _name in ("urllib3.connectionpool", "google.auth.transport.requests"):
    logging.getLogger(_name).addFilter(_redacted)


@contextlib.contextmanager
def translated(where: str, operation: str) -> Iterator[None]:
    """The SDK's errors as ours. ``where`` names the bucket for the log."""
    try:
        yield
    except requests.Timeout as exc:
        raise SinkTimeout(_detail(where, operation, exc)) from _clean(exc)
    except (requests.RequestException, auth.TransportError) as exc:
        raise SinkUnavailable(_detail(where, operation, exc)) from _clean(exc)
    except auth.GoogleAuthError as exc:
        detail = _detail(where, operation, exc)
        if exc.retryable:
            raise SinkUnavailable(detail) from exc
        raise SinkMisconfigured(f"{detail}. Check credentials.") from exc


def _detail(where: str, operation: str, exc: Exception) -> str:
    return f"{operation} at {where}: {without_secret(str(exc)).rstrip('.')}"


def _clean(exc: Exception) -> Exception:
    """``exc``, or if it tells the session URI, another one that doesn't."""
    text = without_secret(str(exc))
    return exc if text == str(exc) else ConnectionError(text)


def refusal(where: str, operation: str, response: requests.Response) -> SinkError:
    """The error that a response means; its cause is :class:`Refused`."""
    reason, message = _explained(response)
    refused = Refused(response.status_code, reason, without_secret(message))
    error = _from_status(refused, f"{operation} at {where}: {refused}".rstrip("."), operation)
    error.__cause__ = refused
    return error


def _from_status(refused: Refused, detail: str, operation: str) -> SinkError:
    status = refused.status
    if status in (408, 429) or status >= 500 or refused.reason in _THROTTLED:
        # 501 is said by emulators only, and will be said again.
        return SinkUnavailable(detail) if status != 501 else SinkError(detail)
    if status == 401:
        return SinkMisconfigured(f"{detail}. Check credentials.")
    if status == 403:
        return SinkMisconfigured(
            f"{detail}. Check what credentials may do in the bucket, and kms_key_name."
        )
    if operation in BUCKET_OPERATIONS and status == 404:
        return SinkMisconfigured(f"{detail}. Check bucket: there is none of that name.")
    if operation in BUCKET_OPERATIONS and status == 400:
        return SinkMisconfigured(
            f"{detail}. Check predefined_acl, kms_key_name, cache_control and metadata."
        )
    return SinkError(detail)


#: What is asked of the bucket: a 404 is about it, and a 400 about the sink's options.
BUCKET_OPERATIONS = {"begin", "list", "permissions"}


def _explained(response: requests.Response) -> tuple[str, str]:
    """Reason and message: https://cloud.google.com/storage/docs/json_api/v1/status-codes"""
    try:
        error: Any = response.json()["error"]
        reasons = [one.get("reason", "") for one in error.get("errors") or ()]
        return (reasons or [""])[0], str(error.get("message", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", response.text[:200].strip()
