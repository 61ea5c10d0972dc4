"""Sinks and steps of the tests of ObjectStoreSink."""

from __future__ import annotations

import contextlib
from pathlib import Path

from djust_uploads.sinks import ObjectStoreSink

MIB = 1024 * 1024
SMALL, PART = 1000, 5 * MIB


def make_sink(store, url="s3://media", **options):
    """For a store of ``tests.stores``, or the proxy in front of one."""
    if ca_bundle := getattr(store, "ca_bundle", None):
        options["client_options"] = {"root_certificate": Path(ca_bundle).read_text()}
    return ObjectStoreSink(url, **{"part_size": PART, **store.options, **options})


@contextlib.asynccontextmanager
async def sink_for(store, **options):
    sink = make_sink(store, **options)
    yield sink
    await sink.aclose()
