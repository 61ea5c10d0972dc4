"""The bytes and the chunks that :class:`~djust_uploads.testing.SinkContract` gives to sinks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from ...sinks.base import UploadInfo

#: Bytes of a chunk, as the browser sends by default.
CHUNK_SIZE = 64 * 1024


@cache
def data_of(size: int) -> bytes:
    """``size`` bytes, the same each time, in which no two parts are alike."""
    return random.Random(size).randbytes(size)


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def ragged(data: bytes, part_size: int) -> Iterator[bytes]:
    """``data`` in chunks of all lengths: crumbs, nearly a part, more than two."""
    sizes = (1, 2, 1000, part_size - 1, part_size + 1, 1, 2 * part_size + 3)
    random_sizes = random.Random(len(data))
    start = 0
    while start < len(data):
        size = max(1, random_sizes.choice(sizes))
        yield data[start : start + size]
        start += size


def unreadable() -> Any:
    """A chunk whose bytes can't be had: whatever is done with it raises ``ValueError``."""
    chunk = memoryview(b"x")
    chunk.release()
    return chunk


def difference(found: bytes, expected: bytes) -> str:
    """Where two contents part, in words."""
    if len(found) != len(expected):
        return f"it has {len(found)} bytes, {len(expected)} were written"
    first = next(
        at for at, pair in enumerate(zip(found, expected, strict=True)) if pair[0] ^ pair[1]
    )
    return f"its bytes differ from offset {first} of {len(expected)}"


def upload_info(size: int, **values: Any) -> UploadInfo:
    """Return what a sink is told of a file of ``size`` bytes, under a new key."""
    return UploadInfo(
        upload_name="contract",
        client_name="../the report.bin",
        safe_client_name="the_report.bin",
        client_type="application/x-claimed",
        content_type="application/octet-stream",
        size=size,
        **values,
    )
