"""The extension "creation-defer-length"."""

from __future__ import annotations

from ..check import Level, check
from ..expect import expect_header, expect_no_header, expect_refusal, expect_status
from ..server import TEXT, TusServer, Upload

SECTION = "creation-defer-length"


def deferred(server: TusServer) -> Upload:
    return server.created(server.post({"Upload-Defer-Length": "1"}))


@check(SECTION, Level.MUST)
def length_is_deferred(server: TusServer) -> None:
    """HEAD tells Upload-Defer-Length: 1, and no Upload-Length, until the length is known."""
    upload = deferred(server)
    expect_status(upload.patch(TEXT[:10]), 204)
    response = upload.head()
    expect_header(response, "Upload-Defer-Length", "1")
    expect_header(response, "Upload-Offset", "10")
    expect_no_header(response, "Upload-Length")


@check(SECTION, Level.MUST)
def length_comes_with_a_patch(server: TusServer) -> None:
    """Upload-Length in a PATCH sets the length; then HEAD tells it, and Upload-Defer-Length no
    more."""
    upload = deferred(server)
    expect_status(upload.patch(TEXT[:10]), 204)
    length = {"Upload-Length": str(len(TEXT))}
    expect_status(upload.patch(TEXT[10:20], 10, length), 204)
    response = upload.head()
    expect_header(response, "Upload-Length", str(len(TEXT)))
    expect_no_header(response, "Upload-Defer-Length")
    expect_status(upload.patch(TEXT[20:], 20), 204)


@check(SECTION, Level.MUST)
def length_never_changes(server: TusServer) -> None:
    """The length can't be changed once it is set."""
    upload = deferred(server)
    expect_status(upload.patch(TEXT[:10], headers={"Upload-Length": "20"}), 204)
    expect_refusal(upload.patch(TEXT[10:15], 10, {"Upload-Length": "30"}))
    expect_header(upload.head(), "Upload-Length", "20")


@check(SECTION, Level.EXPECTED)
def length_below_the_offset(server: TusServer) -> None:
    """A length that is less than what has arrived is refused."""
    upload = deferred(server)
    expect_status(upload.patch(TEXT[:10]), 204)
    expect_refusal(upload.patch(b"", 10, {"Upload-Length": "5"}))


@check(SECTION, Level.SHOULD)
def deferred_by_another_value(server: TusServer) -> None:
    """Upload-Defer-Length with another value than 1 is answered with 400."""
    for value in ("0", "2", "true", ""):
        expect_status(server.post({"Upload-Defer-Length": value}), 400)
