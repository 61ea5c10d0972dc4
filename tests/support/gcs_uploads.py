"""Steps of the tests of GCSSink."""

from __future__ import annotations

import base64
import contextlib

import google_crc32c

from djust_uploads.sinks import GCSSink

#: Bytes of the smallest request that is not the last.
PART = 256 * 1024


@contextlib.asynccontextmanager
async def sink_for(store, bucket="media", **options):
    sink = GCSSink(bucket, **{"chunk_size": PART, **store.options, **options})
    try:
        yield sink
    finally:
        await sink.aclose()


def crc32c(data):
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
