"""The extension "creation-with-upload"."""

from __future__ import annotations

from ..check import Level, check
from ..expect import Violation, expect_header, expect_refusal, expect_status
from ..server import OFFSET_STREAM, TEXT, TusServer
from .core import expect_offset, expect_same_bytes

SECTION = "creation-with-upload"


def headers(length: int = len(TEXT)) -> dict[str, str | None]:
    return {"Upload-Length": str(length), "Content-Type": OFFSET_STREAM}


@check(SECTION, Level.MUST)
def announced_with_creation(server: TusServer) -> None:
    """The extension is announced together with creation only."""
    if "creation" not in server.extensions:
        raise Violation("The server does not announce creation.")


@check(SECTION, Level.MUST)
def creation_with_a_part(server: TusServer) -> None:
    """POST with a part of the bytes is answered with 201 and Upload-Offset, and PATCH goes on."""
    response = server.post(headers(), TEXT[:100])
    upload = server.created(response)
    expect_header(response, "Upload-Offset", "100")
    expect_offset(upload, 100)
    expect_status(upload.patch(TEXT[100:], 100), 204)
    expect_same_bytes(upload, TEXT)


@check(SECTION, Level.MUST)
def creation_with_everything(server: TusServer) -> None:
    """POST with all bytes is answered with 201, and the upload is complete."""
    response = server.post(headers(), TEXT)
    upload = server.created(response)
    expect_header(response, "Upload-Offset", str(len(TEXT)))
    expect_offset(upload, len(TEXT))
    expect_same_bytes(upload, TEXT)


@check(SECTION, Level.MUST)
def creation_with_too_much(server: TusServer) -> None:
    """POST with more bytes than Upload-Length says is refused."""
    expect_refusal(server.post(headers(10), TEXT))


@check(SECTION, Level.SHOULD)
def creation_with_another_type(server: TusServer) -> None:
    """POST with bytes of another Content-Type is refused."""
    expect_refusal(server.post({**headers(), "Content-Type": "text/plain"}, TEXT))
