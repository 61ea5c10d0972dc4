"""What S3 wants to know of a part: its checksum, and its ETag. No I/O."""

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
    """The function for one of :data:`CHECKSUMS`. Raises :class:`InvalidSink` if it is not there."""
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
    """What to say, at the end of the upload, of a part that ListParts tells of: its ETag, and the
    checksum if there are any. ``None`` if it has not ``size`` bytes, or is not what is ``known`` of
    it: the ETag that it got when it was sent, or at least its checksum.

    AWS lists checksums, https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html; other
    stores may not. A part that another process sent is then ``None`` too: the upload can't be ended
    without its checksum.
    """
    if stored.get("Size") != size:
        return None
    if known and known["ETag"] == stored["ETag"]:
        return dict(known)
    names = ["ETag", f"Checksum{checksum}"] if checksum else ["ETag"]
    landed = {name: stored[name] for name in names if stored.get(name)}
    same = known is None or (checksum and {**known, "ETag": landed.get("ETag")} == landed)
    return landed if same and len(landed) == len(names) else None
