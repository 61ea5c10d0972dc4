"""The extension "concatenation"."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from ..check import Level, check
from ..expect import (
    NotApplicable,
    Violation,
    expect_header,
    expect_refusal,
    expect_status,
    told,
)
from ..server import TEXT, TusServer, Upload, encoded
from .core import expect_offset, expect_same_bytes, unknown

SECTION = "concatenation"

HALF = len(TEXT) // 2
PARTIAL: dict[str, str | None] = {"Upload-Concat": "partial"}


def parts(server: TusServer) -> list[Upload]:
    """Return two complete partial uploads, the first half of the text and the second."""
    return [server.upload(data, PARTIAL) for data in (TEXT[:HALF], TEXT[HALF:])]


def concatenate(server: TusServer, urls: list[str]) -> httpx.Response:
    return server.post({"Upload-Concat": f"final;{' '.join(urls)}"})


@check(SECTION, Level.MUST)
def partial_upload(server: TusServer) -> None:
    """HEAD of a partial upload tells Upload-Concat: partial and Upload-Offset."""
    upload = server.create(len(TEXT), PARTIAL)
    expect_status(upload.patch(TEXT[:10]), 204)
    response = upload.head()
    expect_header(response, "Upload-Concat", "partial")
    expect_header(response, "Upload-Offset", "10")


@check(SECTION, Level.MUST)
def final_upload(server: TusServer) -> None:
    """Partial uploads, by absolute URLs or by paths, make a final upload with the sum of their
    lengths; HEAD tells Upload-Concat as it was sent."""
    for absolute in (True, False):
        urls = [part.url if absolute else urlsplit(part.url).path for part in parts(server)]
        upload = server.created(concatenate(server, urls))
        response = upload.head()
        expect_header(response, "Upload-Concat", f"final;{' '.join(urls)}")
        expect_header(response, "Upload-Length", str(len(TEXT)))
        expect_header(response, "Upload-Offset", str(len(TEXT)))
        expect_same_bytes(upload, TEXT)


@check(SECTION, Level.MUST)
def order_of_the_list(server: TusServer) -> None:
    """Partial uploads are put together in the order of the list."""
    first, second = parts(server)
    upload = server.created(concatenate(server, [second.url, first.url]))
    expect_offset(upload, len(TEXT))
    expect_same_bytes(upload, TEXT[HALF:] + TEXT[:HALF])


@check(SECTION, Level.MUST)
def patch_of_a_final_upload(server: TusServer) -> None:
    """PATCH of a final upload is answered with 403, and changes nothing."""
    upload = server.created(concatenate(server, [part.url for part in parts(server)]))
    expect_status(upload.patch(b"more", len(TEXT)), 403)
    expect_offset(upload, len(TEXT))


@check(SECTION, Level.MUST)
def metadata_of_parts(server: TusServer) -> None:
    """The metadata of partial uploads does not go over to the final one."""
    mine = {**PARTIAL, "Upload-Metadata": encoded({**server.metadata, "part": "1"})}
    upload = server.created(concatenate(server, [server.upload(TEXT, mine).url]))
    told_metadata = upload.head().headers.get("Upload-Metadata")
    if told_metadata != encoded(server.metadata):
        raise Violation(f"Upload-Metadata: {told_metadata}")


@check(SECTION, Level.MUST)
def unfinished_parts(server: TusServer) -> None:
    """A concatenation of unfinished uploads is refused where concatenation-unfinished is not
    announced."""
    if "concatenation-unfinished" in server.extensions:
        raise NotApplicable("The server announces concatenation-unfinished.")
    unfinished = server.create(len(TEXT), PARTIAL)
    expect_refusal(concatenate(server, [*(part.url for part in parts(server)), unfinished.url]))


@check(SECTION, Level.EXPECTED)
def what_is_no_part(server: TusServer) -> None:
    """A concatenation of unknown uploads, of uploads that are not partial, or of nothing is
    refused."""
    whole = server.upload(TEXT)
    for urls in ([unknown(server)], [whole.url], [], ["not a url"], ["http://other.example/1"]):
        expect_refusal(concatenate(server, urls))


@check(SECTION, Level.EXPECTED)
def another_value(server: TusServer) -> None:
    """Upload-Concat with another value than partial or final is answered with 400."""
    for value in ("part", "final", ""):
        response = server.post({"Upload-Length": "1", "Upload-Concat": value})
        if response.status_code != 400:
            raise Violation(f"Upload-Concat: {value!r}: {told(response)} where 400 is right")
