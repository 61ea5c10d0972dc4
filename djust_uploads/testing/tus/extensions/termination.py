"""The extension "termination"."""

from __future__ import annotations

from ..check import Level, check
from ..expect import Violation, expect_header, expect_no_header, expect_status
from ..server import TEXT, VERSION, TusServer, Upload
from .core import unknown

SECTION = "termination"


def expect_gone(upload: Upload) -> None:
    response = upload.head()
    expect_status(response, 404, 410)
    expect_no_header(response, "Upload-Offset")


@check(SECTION, Level.MUST)
def unfinished_upload(server: TusServer) -> None:
    """DELETE of an unfinished upload is answered with 204."""
    upload = server.create(len(TEXT))
    expect_status(upload.patch(TEXT[:10]), 204)
    response = upload.delete()
    expect_status(response, 204)
    expect_header(response, "Tus-Resumable", VERSION)


@check(SECTION, Level.MUST)
def complete_upload(server: TusServer) -> None:
    """DELETE of a complete upload is answered with 204."""
    expect_status(server.upload(TEXT).delete(), 204)


@check(SECTION, Level.SHOULD)
def requests_after_the_end(server: TusServer) -> None:
    """After DELETE, every request is answered with 404 or 410."""
    for size in (len(TEXT), len(TEXT) * 2):
        upload = server.create(size)
        expect_status(upload.patch(TEXT), 204)
        expect_status(upload.delete(), 204)
        expect_gone(upload)
        expect_status(upload.patch(TEXT, len(TEXT)), 404, 410)
        expect_status(upload.delete(), 404, 410)
        response = upload.get()
        if response.is_success:
            raise Violation(f"GET is answered with {response.status_code}")


@check(SECTION, Level.EXPECTED)
def unknown_upload(server: TusServer) -> None:
    """DELETE of an unknown upload is answered with 404 or 410."""
    expect_status(server.request("DELETE", unknown(server)), 404, 410)
