"""Sinks and steps of the tests of ObjectStoreSink."""

from __future__ import annotations

import contextlib
from pathlib import Path

from djust_uploads.sinks import ObjectStoreSink
from tests.sinks.s3.test_sink import PART

MARKS = "unconsumed-uploads"


def make_sink(store, url="s3://media", **options):
    """For a store of ``tests.support.s3_stores`` and the like, or the proxy in front of one."""
    if ca_bundle := getattr(store, "ca_bundle", None):
        options["client_options"] = {"root_certificate": Path(ca_bundle).read_text()}
    return ObjectStoreSink(url, **{"part_size": PART, **store.options, **options})


@contextlib.asynccontextmanager
async def sink_for(store, url="s3://media", **options):
    sink = make_sink(store, url, **options)
    yield sink
    await sink.aclose()


def kept(store):
    """The keys of the objects without a mark."""
    keys = set(store.object_keys())
    marked = {key.removeprefix(f"{MARKS}/") for key in keys if key.startswith(f"{MARKS}/")}
    return sorted(
        key for key in keys if not key.startswith(MARKS) and not any(m in key for m in marked)
    )
