"""Translates the errors of Google Cloud Storage and of its SDK into ours.

Statuses: https://cloud.google.com/storage/docs/json_api/v1/status-codes. The URI of a session is a
secret, because it allows anybody to write to the bucket. So no error of ours contains one, and no
cause of an error does.
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

#: The reasons of a 403 which mean that there were too many requests.
_THROTTLED = {"rateLimitExceeded", "userRateLimitExceeded"}

#: The statuses which mean that a session does not exist, has ended, or was cancelled:
#: https://cloud.google.com/storage/docs/performing-resumable-uploads ("Handle errors", "Cancel")
GONE = {404, 410, 499}


class Refused(Exception):
    """The store has answered with an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(" ".join(filter(None, (str(status), reason, message))))
        self.status = status
        self.reason = reason


def status_of(error: BaseException) -> int:
    """Return the HTTP status that caused an error of ours, or 0 if there was no answer."""
    cause = error.__cause__
    return cause.status if isinstance(cause, Refused) else 0


def without_secret(text: str) -> str:
    """Return the text without the secret part of session URIs."""
    return _SECRET.sub("upload_id=…", text)


def _redacted(record: logging.LogRecord) -> bool:
    """Remove session URIs from a log record. Returns ``True``, so that the record is logged."""
    if isinstance(record.args, tuple):
        record.args = tuple(without_secret(a) if isinstance(a, str) else a for a in record.args)
    if request := getattr(record, "httpRequest", None):
        request["url"] = without_secret(request["url"])
    return True


# At the level DEBUG, these loggers log the URL of each request.
for _name in ("urllib3.connectionpool", "google.auth.transport.requests"):
    logging.getLogger(_name).addFilter(_redacted)


@contextlib.contextmanager
def translated(where: str, operation: str) -> Iterator[None]:
    """Raise errors of the SDK as a :class:`SinkError` or one of its subclasses.

    ``where`` names the bucket for the log, and ``operation`` the request.
    """
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
    """Return ``exc``, or another exception without the session URI if ``exc`` contains one."""
    text = without_secret(str(exc))
    return exc if text == str(exc) else ConnectionError(text)


def refusal(where: str, operation: str, response: requests.Response) -> SinkError:
    """Return the error that a response means. Its cause is a :class:`Refused`."""
    reason, message = _explained(response)
    refused = Refused(response.status_code, reason, without_secret(message))
    error = _from_status(refused, f"{operation} at {where}: {refused}".rstrip("."), operation)
    error.__cause__ = refused
    return error


def _from_status(refused: Refused, detail: str, operation: str) -> SinkError:
    status = refused.status
    if status in (408, 429) or status >= 500 or refused.reason in _THROTTLED:
        # Only emulators answer 501. To repeat the request would not help.
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


#: Requests about the bucket. A 404 means that there is no such bucket, and a 400 means that an
#: option of the sink is wrong.
BUCKET_OPERATIONS = {"begin", "list", "permissions"}


def _explained(response: requests.Response) -> tuple[str, str]:
    """Return the reason and the message of an error, or ``""`` for what the response lacks.

    https://cloud.google.com/storage/docs/json_api/v1/status-codes
    """
    try:
        error: Any = response.json()["error"]
        reasons = [one.get("reason", "") for one in error.get("errors") or ()]
        return (reasons or [""])[0], str(error.get("message", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", response.text[:200].strip()
