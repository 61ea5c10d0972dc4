"""What the answers of a tus server mean."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from .errors import (
    ClientError,
    DigestMismatch,
    InvalidAnswer,
    NotAuthorized,
    Refused,
    ServerFailed,
    TakenOver,
    TooLarge,
    UploadGone,
)

#: The server's own code for an upload that another client goes on with, see docs/errors.md.
LOCKED = "locked"

#: https://tus.io/protocols/resumable-upload#checksum
MISMATCH = 460

#: 408, 425 and 429 are made to be tried again. 409: the offset is asked for again. 423: tusd's
#: and @tus/server's answer while they end another request to the upload.
_TRANSIENT = {408, 409, 423, 425, 429}

#: What a page answers to a POST, or a server without one. 501: Python's http.server, for example.
_NO_ENDPOINT = {404, 405, 410, 501}

_REFUSALS: dict[int, type[Refused]] = {
    401: NotAuthorized,
    403: NotAuthorized,
    404: UploadGone,
    410: UploadGone,
    413: TooLarge,
}

#: Seconds that a server may make its clients wait.
_LONGEST_WAIT = 60.0


def check_url(url: str) -> None:
    """Raise :class:`.InvalidAnswer` if this is not a URL of HTTP."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise InvalidAnswer(f"{url!r}: {exc}", message=f"{url} is no URL.") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidAnswer(f"{url!r} has no host, or not HTTP", message=f"{url} is no URL.")


def check(response: httpx.Response, *right: int) -> None:
    """Raise the :class:`.ClientError` that the status stands for, unless it is one of ``right``."""
    if response.status_code not in right:
        raise _error(response)


def _error(response: httpx.Response) -> ClientError:
    status = response.status_code
    problem = _problem(response)
    detail = f"{response.request.method} {response.request.url}: {status} {_excerpt(response)}"
    if problem.get("code") == LOCKED:
        return TakenOver(detail)
    if status == MISMATCH:
        error: ClientError = DigestMismatch(detail)
        error.retryable = True
        return error
    if response.request.method == "POST" and status in _NO_ENDPOINT and not problem:
        return InvalidAnswer(detail)
    if status in _TRANSIENT or status >= 500:
        failed = ServerFailed(detail)
        failed.retry_after = _retry_after(response)
        return failed
    if 400 <= status < 500:
        return _refusal(response, problem, detail)
    return InvalidAnswer(detail)


def _refusal(response: httpx.Response, problem: dict[str, Any], detail: str) -> Refused:
    kind = _REFUSALS.get(response.status_code, Refused)
    sentence = problem.get("detail") or problem.get("title") or ""
    refused = kind(detail, message=str(sentence))
    refused.status = response.status_code
    refused.server_code = str(problem.get("code", ""))
    return refused


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return the problem details, https://www.rfc-editor.org/rfc/rfc9457, if there are any."""
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        try:
            problem = json.loads(response.content)
        except ValueError:
            return {}
        return problem if isinstance(problem, dict) else {}
    return {}


def _excerpt(response: httpx.Response) -> str:
    return " ".join(response.text.split())[:200]


def _retry_after(response: httpx.Response) -> float:
    """https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3: seconds, or a date."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            seconds = 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def location(response: httpx.Response) -> str:
    """Return the URL of the upload that was created. Raises :class:`.InvalidAnswer`."""
    if not (value := response.headers.get("Location")):
        raise InvalidAnswer(f"{response.request.url}: 201 without Location")
    try:
        url = str(response.url.join(value))
    except httpx.InvalidURL as exc:
        raise InvalidAnswer(f"{response.request.url}: Location {value!r}") from exc
    check_url(url)
    return url


def offset(response: httpx.Response, size: int) -> int:
    """Return ``Upload-Offset``, from 0 to ``size``. Raises :class:`.InvalidAnswer`."""
    value = response.headers.get("Upload-Offset", "")
    if not value.isdigit() or int(value) > size:
        raise InvalidAnswer(f"{response.request.url}: Upload-Offset {value!r} of {size} bytes")
    return int(value)


def append_limit(response: httpx.Response) -> int | None:
    """Return how many bytes a request may carry, where the server says it.

    The header is the IETF's, https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/.
    """
    found = re.search(r"\bmax-append-size=(\d+)", response.headers.get("Upload-Limit", ""))
    return int(found[1]) or None if found else None


def digest(response: httpx.Response) -> bytes | None:
    """Return the SHA-256 of what the server has, https://www.rfc-editor.org/rfc/rfc9530, if it
    tells it."""
    found = re.search(r"\bsha-256=:([^:]*):", response.headers.get("Repr-Digest", ""))
    try:
        return base64.b64decode(found[1], validate=True) if found else None
    except binascii.Error:
        return None
