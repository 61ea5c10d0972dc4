"""The extension "creation"."""

from __future__ import annotations

import base64

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
from ..server import TEXT, TusServer, encoded

SECTION = "creation"


@check(SECTION, Level.MUST)
def creation_tells_the_location(server: TusServer) -> None:
    """POST is answered with 201 and the upload's URL in Location, absolute or relative."""
    response = server.create(len(TEXT)).head()
    expect_status(response, 200, 204)
    expect_header(response, "Upload-Offset", "0")


@check(SECTION, Level.MUST)
def empty_upload(server: TusServer) -> None:
    """An upload of 0 bytes is created and is complete."""
    response = server.create(0).head()
    expect_header(response, "Upload-Length", "0")
    expect_header(response, "Upload-Offset", "0")


@check(SECTION, Level.MUST)
def creation_without_length(server: TusServer) -> None:
    """POST with neither Upload-Length nor Upload-Defer-Length is refused."""
    expect_refusal(server.post())


@check(SECTION, Level.MUST)
def creation_with_a_wrong_length(server: TusServer) -> None:
    """POST whose Upload-Length is no whole number is refused."""
    for length in ("", "-1", "ten", "1.5", "0x10", "1e3", "10,10"):
        expect_refusal(server.post({"Upload-Length": length}))


@check(SECTION, Level.EXPECTED)
def creation_with_a_wrong_length_is_a_bad_request(server: TusServer) -> None:
    """POST whose Upload-Length is missing or no whole number is answered with 400."""
    for length in (None, "-1", "ten"):
        expect_status(server.post({"Upload-Length": length}), 400)


@check(SECTION, Level.EXPECTED)
def creation_with_an_absurd_length(server: TusServer) -> None:
    """POST with a length that no store has room for is refused, and not a server error."""
    if "Tus-Max-Size" not in server.options.headers:
        raise NotApplicable("The server does not announce Tus-Max-Size.")
    expect_refusal(server.post({"Upload-Length": "9" * 30}))


@check(SECTION, Level.MUST)
def creation_above_the_maximum(server: TusServer) -> None:
    """POST whose Upload-Length exceeds Tus-Max-Size is answered with 413."""
    maximum = server.options.headers.get("Tus-Max-Size")
    if maximum is None:
        raise NotApplicable("The server does not announce Tus-Max-Size.")
    expect_status(server.post({"Upload-Length": str(int(maximum) + 1)}), 413)


@check(SECTION, Level.MUST)
def deferred_length_that_is_not_announced(server: TusServer) -> None:
    """POST with Upload-Defer-Length is refused where creation-defer-length is not announced."""
    if "creation-defer-length" in server.extensions:
        raise NotApplicable("The server announces creation-defer-length.")
    expect_refusal(server.post({"Upload-Defer-Length": "1"}))


# Metadata


@check(SECTION, Level.MUST)
def metadata_comes_back(server: TusServer) -> None:
    """HEAD tells Upload-Metadata as it was sent: keys without a value, empty and binary values."""
    metadata = ",".join(
        (
            encoded(server.metadata) or "filename Y2hlY2tsaXN0LnR4dA==",
            "is_confidential",
            f"caption {base64.b64encode('Grüße, 世界'.encode()).decode()}",
            f"binary {base64.b64encode(bytes(range(256))).decode()}",
        )
    )
    upload = server.create(len(TEXT), {"Upload-Metadata": metadata})
    expect_header(upload.head(), "Upload-Metadata", metadata)


@check(SECTION, Level.EXPECTED)
def metadata_that_breaks_the_grammar(server: TusServer) -> None:
    """Upload-Metadata with an empty key, a key that occurs twice, or a value that is not Base64 is
    answered with 400."""
    good = encoded(server.metadata)
    for bad in ("caption ***", "caption YQ== YQ==", "caption YQ==,caption Yg==", ",,"):
        metadata = f"{good},{bad}" if good else bad
        expect_status(server.post({"Upload-Length": "1", "Upload-Metadata": metadata}), 400)


@check(SECTION, Level.SHOULD)
def metadata_smuggles_no_header(server: TusServer) -> None:
    """A line break in a metadata value never begins a header of an answer."""
    name = b"a.txt\r\nX-Smuggled: 1\r\n\r\n"
    metadata = encoded({**server.metadata, "filename": name, "filetype": name})
    response = server.post({"Upload-Length": str(len(TEXT)), "Upload-Metadata": metadata})
    expect_no_header(response, "X-Smuggled")
    if response.is_client_error:
        return
    upload = server.created(response)
    for response in (upload.head(), upload.patch(TEXT), upload.get()):
        expect_no_header(response, "X-Smuggled")
        if response.is_server_error:
            raise Violation(told(response))
