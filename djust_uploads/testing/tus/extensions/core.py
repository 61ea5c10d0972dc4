"""The core protocol: OPTIONS, HEAD, PATCH and the version."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx

from ..check import Level, check
from ..expect import (
    NotApplicable,
    Violation,
    expect_header,
    expect_no_header,
    expect_refusal,
    expect_status,
    told,
)
from ..server import OFFSET_STREAM, TEXT, VERSION, TusServer, Upload, listed

SECTION = "core"

#: Any URL below the creating one that no server has handed out.
UNKNOWN = "0123456789abcdef0123456789abcdef"


def expect_offset(upload: Upload, offset: int) -> None:
    expect_header(upload.head(), "Upload-Offset", str(offset))


def unknown(server: TusServer) -> str:
    """Return a URL that could be an upload's."""
    return urljoin(server.url.rstrip("/") + "/", UNKNOWN)


# OPTIONS


@check(SECTION, Level.MUST)
def options_succeeds(server: TusServer) -> None:
    """OPTIONS is answered with 204 or 200, and Tus-Version has 1.0.0 in its list."""
    expect_status(server.options, 200, 204)
    if VERSION not in listed(server.options, "Tus-Version"):
        raise Violation(f"Tus-Version: {server.options.headers.get('Tus-Version')}")


@check(SECTION, Level.MUST)
def options_ignores_the_version(server: TusServer) -> None:
    """OPTIONS ignores a Tus-Resumable in the request."""
    expect_status(server.request("OPTIONS", headers={"Tus-Resumable": "0.0.1"}), 200, 204)


@check(SECTION, Level.MUST)
def options_lists_extensions(server: TusServer) -> None:
    """Tus-Extension is left out or lists at least one extension."""
    if "Tus-Extension" in server.options.headers and "" in (server.extensions or [""]):
        raise Violation(f"Tus-Extension: {server.options.headers['Tus-Extension']}")


@check(SECTION, Level.MUST)
def options_has_a_whole_maximum(server: TusServer) -> None:
    """Tus-Max-Size, if it is there, is a whole number of bytes."""
    maximum = server.options.headers.get("Tus-Max-Size")
    if maximum is not None and not (maximum.isascii() and maximum.isdigit()):
        raise Violation(f"Tus-Max-Size: {maximum}")


# The version


@check(SECTION, Level.MUST)
def version_in_answers(server: TusServer) -> None:
    """The answers to POST, HEAD and PATCH have Tus-Resumable: 1.0.0."""
    upload = server.create(len(TEXT))
    for response in (upload.created, upload.head(), upload.patch(TEXT)):
        expect_header(response, "Tus-Resumable", VERSION)


@check(SECTION, Level.MUST)
def version_in_refusals(server: TusServer) -> None:
    """Refusals have Tus-Resumable: 1.0.0, too: 400, 404, 409 and 415."""
    upload = server.create(len(TEXT))
    refused = [
        server.post(),
        server.request("HEAD", unknown(server)),
        upload.patch(TEXT, 1),
        upload.patch(TEXT, headers={"Content-Type": "text/plain"}),
    ]
    for response in refused:
        expect_refusal(response)
        expect_header(response, "Tus-Resumable", VERSION)


def expect_unsupported(response: httpx.Response) -> None:
    expect_status(response, 412)
    if VERSION not in listed(response, "Tus-Version"):
        raise Violation(f"{told(response)} with Tus-Version: {response.headers.get('Tus-Version')}")


@check(SECTION, Level.MUST)
def unsupported_version(server: TusServer) -> None:
    """A version that the server does not speak is refused with 412 and Tus-Version, and the request
    changes nothing."""
    other = {"Tus-Resumable": "0.0.1"}
    expect_unsupported(server.post({"Upload-Length": "1", **other}))
    upload = server.create(len(TEXT))
    expect_unsupported(upload.head(other))
    expect_unsupported(upload.patch(TEXT, headers=other))
    if "termination" in server.extensions:
        expect_unsupported(upload.delete(other))
    expect_offset(upload, 0)


# HEAD


@check(SECTION, Level.MUST)
def head_tells_the_offset(server: TusServer) -> None:
    """HEAD tells Upload-Offset and Upload-Length of a new upload, of one in the middle, and of a
    complete one."""
    upload = server.create(len(TEXT))
    for start, end in ((0, 0), (0, 100), (100, len(TEXT))):
        if end:
            expect_status(upload.patch(TEXT[start:end], start), 204)
        response = upload.head()
        expect_status(response, 200, 204)
        expect_header(response, "Upload-Offset", str(end))
        expect_header(response, "Upload-Length", str(len(TEXT)))


@check(SECTION, Level.MUST)
def head_is_not_cached(server: TusServer) -> None:
    """The answer to HEAD has Cache-Control: no-store."""
    response = server.create(1).head()
    if "no-store" not in listed(response, "Cache-Control"):
        raise Violation(f"Cache-Control: {response.headers.get('Cache-Control')}")


@check(SECTION, Level.SHOULD)
def head_of_an_unknown_upload(server: TusServer) -> None:
    """HEAD of an unknown upload is answered with 404, 410 or 403, without Upload-Offset."""
    response = server.request("HEAD", unknown(server))
    expect_status(response, 403, 404, 410)
    expect_no_header(response, "Upload-Offset")


# PATCH


@check(SECTION, Level.MUST)
def patch_tells_the_new_offset(server: TusServer) -> None:
    """PATCH is answered with 204 and the new Upload-Offset, in one request or in many."""
    for step in (len(TEXT), 300):
        upload = server.create(len(TEXT))
        for start in range(0, len(TEXT), step):
            response = upload.patch(TEXT[start : start + step], start)
            expect_status(response, 204)
            expect_header(response, "Upload-Offset", str(min(start + step, len(TEXT))))


@check(SECTION, Level.MUST)
def patch_at_another_offset(server: TusServer) -> None:
    """PATCH with an offset before or after the upload's is answered with 409, and changes
    nothing."""
    upload = server.create(len(TEXT))
    expect_status(upload.patch(TEXT[:100]), 204)
    for offset in (0, 99, 101, len(TEXT), len(TEXT) + 1):
        expect_status(upload.patch(TEXT[100:110], offset), 409)
        expect_offset(upload, 100)


@check(SECTION, Level.MUST)
def patch_without_an_offset(server: TusServer) -> None:
    """PATCH whose Upload-Offset is missing or no whole number is refused, and changes nothing."""
    upload = server.create(len(TEXT))
    for offset in (None, "", "-1", "one", "0.0", "0x0", "0,0", "1e0"):
        expect_refusal(upload.patch(TEXT[:10], offset))
        expect_offset(upload, 0)


@check(SECTION, Level.EXPECTED)
def patch_without_an_offset_is_a_bad_request(server: TusServer) -> None:
    """PATCH whose Upload-Offset is missing or no whole number is answered with 400."""
    upload = server.create(len(TEXT))
    for offset in (None, "", "-1", "one"):
        expect_status(upload.patch(TEXT[:10], offset), 400)


@check(SECTION, Level.SHOULD)
def patch_of_another_type(server: TusServer) -> None:
    """PATCH with another Content-Type, or none, is answered with 415, and changes nothing."""
    upload = server.create(len(TEXT))
    for content_type in ("application/octet-stream", "text/plain", None):
        expect_status(upload.patch(TEXT[:10], headers={"Content-Type": content_type}), 415)
        expect_offset(upload, 0)


@check(SECTION, Level.SHOULD)
def patch_of_an_unknown_upload(server: TusServer) -> None:
    """PATCH of an unknown upload is answered with 404."""
    headers = {"Content-Type": OFFSET_STREAM, "Upload-Offset": "0"}
    expect_status(server.request("PATCH", unknown(server), headers, TEXT), 404)


@check(SECTION, Level.EXPECTED)
def patch_without_bytes(server: TusServer) -> None:
    """PATCH without bytes is answered with 204 and the same offset."""
    upload = server.create(len(TEXT))
    expect_status(upload.patch(TEXT[:10]), 204)
    response = upload.patch(b"", 10)
    expect_status(response, 204)
    expect_header(response, "Upload-Offset", "10")


@check(SECTION, Level.EXPECTED)
def patch_in_chunks(server: TusServer) -> None:
    """PATCH without Content-Length, in chunks, is taken."""
    upload = server.create(len(TEXT))
    response = upload.patch(iter([TEXT[:100], TEXT[100:]]))
    expect_status(response, 204)
    expect_header(response, "Upload-Offset", str(len(TEXT)))


@check(SECTION, Level.MUST)
def patch_beyond_the_end(server: TusServer) -> None:
    """PATCH with more bytes than Upload-Length says is refused, and the offset never passes the
    length."""
    upload = server.create(10)
    expect_refusal(upload.patch(TEXT))
    offset = upload.head().headers.get("Upload-Offset")
    # A server may also end such an upload.
    if offset and int(offset) > 10:
        raise Violation(f"Upload-Offset: {offset} of 10 bytes")


@check(SECTION, Level.EXPECTED)
def patch_of_a_complete_upload(server: TusServer) -> None:
    """PATCH with bytes to a complete upload is refused, and does not change it."""
    upload = server.upload(TEXT)
    expect_refusal(upload.patch(b"more", len(TEXT)))
    expect_offset(upload, len(TEXT))


def cut_off(data: bytes) -> Iterator[bytes]:
    yield data
    # ASGI servers drop what arrives together with the connection's end.
    time.sleep(0.3)
    raise ConnectionAbortedError


def send_in_part(upload: Upload, data: bytes, until: int) -> None:
    """Announce all of ``data``, send it up to ``until``, and close the connection."""
    with contextlib.suppress(ConnectionAbortedError, httpx.TransportError):
        upload.patch(cut_off(data[:until]), headers={"Content-Length": str(len(data))})
    # The server must learn that there is nothing more.
    time.sleep(0.3)


@check(SECTION, Level.SHOULD)
def interrupted_patch_is_kept(server: TusServer) -> None:
    """What arrived of a PATCH whose connection broke is kept."""
    upload = server.create(len(TEXT) * 100)
    send_in_part(upload, TEXT * 100, len(TEXT) * 50)
    if int(upload.head().headers.get("Upload-Offset", "0")) == 0:
        raise Violation(f"Upload-Offset: 0 after {len(TEXT) * 50} bytes")


@check(SECTION, Level.MUST)
def interrupted_patch_is_resumed(server: TusServer) -> None:
    """An upload whose connection broke in the middle goes on at the offset that HEAD tells."""
    data = TEXT * 100
    upload = server.create(len(data))
    send_in_part(upload, data, len(data) // 2)
    offset = int(upload.head().headers.get("Upload-Offset", "-1"))
    if not 0 <= offset <= len(data) // 2:
        raise Violation(f"Upload-Offset: {offset} after {len(data) // 2} bytes")
    response = upload.patch(data[offset:], offset)
    expect_status(response, 204)
    expect_header(response, "Upload-Offset", str(len(data)))
    expect_same_bytes(upload, data)


def expect_same_bytes(upload: Upload, data: bytes) -> None:
    """Compare, where the server answers GET with what was uploaded."""
    response = upload.get()
    if response.status_code == 200 and response.content != data:
        raise Violation(f"GET returns {len(response.content)} bytes that differ")


@check(SECTION, Level.EXPECTED)
def get_returns_the_bytes(server: TusServer) -> None:
    """GET of a complete upload returns its bytes."""
    upload = server.upload(TEXT)
    expect_status(upload.get(), 200)
    expect_same_bytes(upload, TEXT)


# X-HTTP-Method-Override


@check(SECTION, Level.MUST)
def method_override(server: TusServer) -> None:
    """POST with X-HTTP-Method-Override is what that header says: PATCH, HEAD or DELETE."""
    upload = server.create(len(TEXT))
    response = upload.patch(TEXT, headers={"X-HTTP-Method-Override": "PATCH"}, method="POST")
    expect_status(response, 204)
    expect_header(response, "Upload-Offset", str(len(TEXT)))
    response = server.request("POST", upload.url, {"X-HTTP-Method-Override": "HEAD"})
    expect_status(response, 200, 204)
    expect_header(response, "Upload-Offset", str(len(TEXT)))
    if "termination" in server.extensions:
        response = server.request("POST", upload.url, {"X-HTTP-Method-Override": "DELETE"})
        expect_status(response, 204)


@check(SECTION, Level.MUST)
def method_override_of_a_creation(server: TusServer) -> None:
    """X-HTTP-Method-Override ignores the actual method: a GET can create an upload."""
    if "creation" not in server.extensions:
        raise NotApplicable("The server does not announce creation.")
    headers = {"X-HTTP-Method-Override": "POST", "Upload-Length": "1"}
    expect_status(server.post(headers, method="GET"), 201)
