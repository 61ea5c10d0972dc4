"""Computes and compares the checksums and the ETags of parts. Nothing here does I/O."""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...exceptions import InvalidSink

Chunks = Sequence[bytes | memoryview]

CHECKSUMS = ("CRC32", "CRC32C", "SHA256")


def load_checksum(name: str | None) -> Callable[[Chunks], bytes]:
    """Return the function that computes the checksum ``name``, one of :data:`CHECKSUMS`.

    Raises :class:`InvalidSink` if the package that it needs is not installed.
    """
    if name == "CRC32C":
        try:
            from awscrt.checksums import crc32c
        except ImportError as exc:
            raise InvalidSink("checksum 'CRC32C' needs awscrt: pip install awscrt") from exc
        return functools.partial(_crc, lambda chunk, crc: crc32c(bytes(chunk), crc))
    return _sha256 if name == "SHA256" else functools.partial(_crc, zlib.crc32)


def _crc(update: Callable[[bytes | memoryview, int], int], chunks: Chunks) -> bytes:
    crc = 0
    for chunk in chunks:
        crc = update(chunk, crc)
    return crc.to_bytes(4, "big")


def _sha256(chunks: Chunks) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def landed_part(
    stored: Mapping[str, Any], known: Mapping[str, str] | None, size: int, checksum: str | None
) -> dict[str, str] | None:
    """Return what CompleteMultipartUpload must say of a part that is in the store.

    That is its ETag, and its checksum if the upload has checksums. ``stored`` is what ListParts
    says of the part. ``known`` is the ETag and the checksum that the part had when it was sent, or
    ``None`` if that is not known.

    Returns ``None`` if the part does not have ``size`` bytes, or if neither its ETag nor its
    checksum is the known one. The part must be sent again then.

    AWS lists the checksums of parts, and other stores may not:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html. If a checksum is not known
    either, ``None`` is returned, because the upload could not be completed without it.
    """
    if stored.get("Size") != size:
        return None
    if known and known["ETag"] == stored["ETag"]:
        return dict(known)
    names = ["ETag", f"Checksum{checksum}"] if checksum else ["ETag"]
    landed = {name: stored[name] for name in names if stored.get(name)}
    same = known is None or (checksum and {**known, "ETag": landed.get("ETag")} == landed)
    return landed if same and len(landed) == len(names) else None
