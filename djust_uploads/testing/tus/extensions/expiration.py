"""The extension "expiration"."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from ..check import Level, check
from ..expect import NotApplicable, Violation, expect_no_header, expect_status, told
from ..server import TEXT, TusServer

SECTION = "expiration"

#: https://www.rfc-editor.org/rfc/rfc7231#section-7.1.1.1: the form that senders must use.
IMF_FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"


def expiry(response: httpx.Response) -> datetime:
    """Return when the upload expires. Raises :class:`.Violation` if the response does not tell."""
    value = response.headers.get("Upload-Expires", "")
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        raise Violation(f"{told(response)} with Upload-Expires: {value or 'none'}") from None
    if moment.tzinfo is None or moment.astimezone(UTC).strftime(IMF_FIXDATE) != value:
        raise Violation(f"{told(response)} with Upload-Expires: {value}")
    return moment


@check(SECTION, Level.MUST)
def patch_tells_the_expiry(server: TusServer) -> None:
    """Each PATCH that leaves the upload unfinished is answered with Upload-Expires, a date of RFC
    7231 that is to come."""
    upload = server.create(len(TEXT))
    for start in (0, 10):
        response = upload.patch(TEXT[start : start + 10], start)
        expect_status(response, 204)
        # The date has whole seconds.
        if expiry(response).timestamp() < time.time() - 1:
            raise Violation(f"Upload-Expires: {response.headers['Upload-Expires']} is past")


@check(SECTION, Level.MUST)
def creation_tells_the_expiry(server: TusServer) -> None:
    """POST is answered with Upload-Expires, if the expiry is known by then."""
    response = server.create(len(TEXT)).created
    if "Upload-Expires" not in response.headers:
        raise NotApplicable("The expiry is not known at the creation.")
    expiry(response)


@check(SECTION, Level.SHOULD)
def expired_upload(server: TusServer) -> None:
    """HEAD and PATCH of an expired upload are answered with 404 or 410."""
    upload = server.create(len(TEXT))
    response = upload.patch(TEXT[:10])
    seconds = expiry(response).timestamp() - time.time()
    if seconds > server.patience - 1:
        raise NotApplicable(f"Uploads expire after {seconds:.0f} seconds: see --patience.")
    time.sleep(server.patience)
    response = upload.head()
    expect_status(response, 404, 410)
    expect_no_header(response, "Upload-Offset")
    expect_status(upload.patch(TEXT[10:], 10), 404, 410)
