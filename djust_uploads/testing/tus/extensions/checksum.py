"""The extension "checksum"."""

from __future__ import annotations

import base64
import hashlib
import zlib

from ..check import Level, check
from ..expect import Violation, expect_header, expect_no_header, expect_status
from ..server import OFFSET_STREAM, TEXT, TusServer, listed
from .core import expect_offset, expect_same_bytes

SECTION = "checksum"

MISMATCH = 460


def checksum(algorithm: str, data: bytes) -> str | None:
    """Return the value of Upload-Checksum; ``None`` if Python does not have the algorithm."""
    if algorithm == "crc32":
        digest = zlib.crc32(data).to_bytes(4, "big")
    elif algorithm == "crc32c":
        digest = crc32c(data).to_bytes(4, "big")
    elif algorithm in hashlib.algorithms_guaranteed and "shake" not in algorithm:
        digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
    else:
        return None
    return f"{algorithm} {base64.b64encode(digest).decode()}"


def crc32c(data: bytes) -> int:
    """https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4"""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def algorithms(server: TusServer) -> list[str]:
    """Return those that the server announces and that can be computed here."""
    return [
        name for name in listed(server.options, "Tus-Checksum-Algorithm") if checksum(name, b"")
    ]


@check(SECTION, Level.MUST)
def sha1_is_announced(server: TusServer) -> None:
    """OPTIONS tells Tus-Checksum-Algorithm, a list of lowercase ASCII names with sha1."""
    names = listed(server.options, "Tus-Checksum-Algorithm")
    odd = [name for name in names if not name.isascii() or name != name.lower() or not name]
    if "sha1" not in names or odd:
        raise Violation(
            f"Tus-Checksum-Algorithm: {server.options.headers.get('Tus-Checksum-Algorithm')}"
        )


@check(SECTION, Level.MUST)
def right_checksums(server: TusServer) -> None:
    """PATCH with the right checksum, of each algorithm that is announced, is answered with 204."""
    for algorithm in algorithms(server):
        upload = server.create(len(TEXT))
        for start, end in ((0, 100), (100, len(TEXT))):
            data = TEXT[start:end]
            headers = {"Upload-Checksum": checksum(algorithm, data)}
            response = upload.patch(data, start, headers)
            expect_status(response, 204)
            expect_header(response, "Upload-Offset", str(end))
        expect_same_bytes(upload, TEXT)


@check(SECTION, Level.MUST)
def wrong_checksums(server: TusServer) -> None:
    """PATCH with a wrong checksum, of each algorithm that is announced, changes nothing; the right
    one is taken afterwards."""
    for algorithm in algorithms(server):
        upload = server.create(len(TEXT))
        expect_status(upload.patch(TEXT[:100]), 204)
        wrong = {"Upload-Checksum": checksum(algorithm, b"other bytes")}
        response = upload.patch(b"x" * 50, 100, wrong)
        if not response.is_client_error:
            expect_status(response, MISMATCH)
        expect_offset(upload, 100)
        right = {"Upload-Checksum": checksum(algorithm, TEXT[100:])}
        expect_status(upload.patch(TEXT[100:], 100, right), 204)
        expect_same_bytes(upload, TEXT)


@check(SECTION, Level.SHOULD)
def wrong_checksums_are_mismatches(server: TusServer) -> None:
    """PATCH with a wrong checksum is answered with 460."""
    upload = server.create(len(TEXT))
    for algorithm in algorithms(server):
        wrong = {"Upload-Checksum": checksum(algorithm, b"other bytes")}
        expect_status(upload.patch(TEXT, headers=wrong), MISMATCH)


@check(SECTION, Level.SHOULD)
def unknown_algorithm(server: TusServer) -> None:
    """PATCH with a checksum of an unknown algorithm is answered with 400, and changes nothing."""
    upload = server.create(len(TEXT))
    expect_status(upload.patch(TEXT, headers={"Upload-Checksum": "rot13 aGVsbG8="}), 400)
    expect_offset(upload, 0)


@check(SECTION, Level.EXPECTED)
def malformed_checksum(server: TusServer) -> None:
    """PATCH with an Upload-Checksum that breaks the grammar is answered with 400, and changes
    nothing."""
    upload = server.create(len(TEXT))
    for value in ("sha1", "sha1 ***", "sha1 aGVsbG8= aGVsbG8=", ""):
        expect_status(upload.patch(TEXT, headers={"Upload-Checksum": value}), 400)
        expect_offset(upload, 0)


@check(SECTION, Level.EXPECTED)
def checksum_of_a_creation(server: TusServer) -> None:
    """POST with bytes and a wrong checksum does not keep the bytes."""
    if "creation-with-upload" not in server.extensions:
        return
    headers = {
        "Upload-Length": str(len(TEXT)),
        "Content-Type": OFFSET_STREAM,
        "Upload-Checksum": checksum("sha1", b"other bytes"),
    }
    response = server.post(headers, TEXT)
    if response.is_client_error:
        expect_no_header(response, "Location")
    else:
        expect_header(response, "Upload-Offset", "0")
