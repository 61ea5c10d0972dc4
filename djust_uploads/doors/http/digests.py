"""Checksums and digests of what a client sends: tus' ``Upload-Checksum`` and RFC 9530's fields."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from ...crc32c import crc32c, has_crc32c
from ...exceptions import DigestMismatch
from .problems import BadRequest, UnsupportedChecksum

#: The most bytes of a body that must be compared before it is stored, because all of it is held in
#: memory until then.
MAX_COMPARED = 16 * 1024 * 1024


def _sha1(data: bytes) -> bytes:
    # The protocol demands SHA-1. It finds damage here, and proves nothing.
    return hashlib.sha1(data, usedforsecurity=False).digest()


#: The algorithms of ``Upload-Checksum``: https://tus.io/protocols/resumable-upload#checksum
CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "sha1": _sha1,
    "sha256": lambda data: hashlib.sha256(data).digest(),
    **({"crc32c": lambda data: crc32c(data).to_bytes(4, "big")} if has_crc32c() else {}),
}

#: The active algorithms of RFC 9530, section 7.2.
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "sha-256": lambda data: hashlib.sha256(data).digest(),
    "sha-512": lambda data: hashlib.sha512(data).digest(),
}

#: A member of a dictionary of byte sequences: RFC 9651, section 3.2 and 3.3.5.
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")


@dataclass(frozen=True)
class Digest:
    """The value that an algorithm must return for some bytes."""

    algorithm: str
    value: bytes
    compute: Callable[[bytes], bytes]

    @classmethod
    def sha256(cls, hexadecimal: str) -> Digest:
        return cls("sha-256", bytes.fromhex(hexadecimal), _DIGESTS["sha-256"])

    def check(self, data: bytes) -> None:
        """Raises :class:`DigestMismatch` if ``data`` has another digest. Blocks for large data."""
        if self.compute(data) != self.value:
            raise DigestMismatch(f"{len(data)} bytes have another {self.algorithm}")

    def header(self) -> str:
        """Return the digest as a member of ``Repr-Digest``."""
        return f"{self.algorithm}=:{base64.b64encode(self.value).decode()}:"


def parse_checksum(value: str) -> Digest:
    """Return the digest in tus' ``Upload-Checksum``: an algorithm, a space, and base64."""
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in CHECKSUMS:
        raise UnsupportedChecksum(f"checksum {algorithm!r:.40}")
    try:
        digest = Digest(algorithm, base64.b64decode(encoded, validate=True), CHECKSUMS[algorithm])
    except (binascii.Error, ValueError):
        raise BadRequest(f"Upload-Checksum is not base64: {value!r:.80}") from None
    if len(digest.value) != len(digest.compute(b"")):
        raise BadRequest(f"Upload-Checksum is no {algorithm}: {value!r:.80}")
    return digest


def parse_digests(value: str) -> dict[str, Digest]:
    """Return the digests in ``Content-Digest`` or ``Repr-Digest`` whose algorithms we know.

    RFC 9530, section 2, lets a receiver ignore the others.
    """
    digests = {}
    for member in value.split(",") if value else ():
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise BadRequest(f"not a dictionary of digests: {value!r:.80}")
        algorithm, encoded = match.groups()
        if algorithm in _DIGESTS:
            try:
                digest = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise BadRequest(f"not a digest: {value!r:.80}") from None
            digests[algorithm] = Digest(algorithm, digest, _DIGESTS[algorithm])
    return digests
