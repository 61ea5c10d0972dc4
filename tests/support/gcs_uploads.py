"""Fixtures and steps of the tests of GCSSink."""

from __future__ import annotations

import base64
import contextlib

import google_crc32c
import pytest

from djust_uploads import UploadInfo
from djust_uploads.sinks import GCSSink
from djust_uploads.sinks.gcs import bucket as gcs
from tests.support.gcs_stores import (
    emulator,
    proxy,
)

MIB = 1024 * 1024
SMALL, PART = 1000, 256 * 1024


@pytest.fixture(scope="session")
def gcs_emulator():
    with emulator() as store:
        yield store


@pytest.fixture(scope="session")
def gcs_proxy(gcs_emulator):
    with proxy(gcs_emulator) as store:
        yield store


@pytest.fixture(params=["emulator", "proxy"])
def store(request):
    """An empty bucket of each."""
    store = request.getfixturevalue(f"gcs_{request.param}")
    store.empty()
    return store


@pytest.fixture
def broken(gcs_proxy):
    """An empty bucket that breaks as told."""
    gcs_proxy.empty()
    gcs_proxy.reset()
    yield gcs_proxy
    gcs_proxy.gate.set()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(gcs, "PAUSE", 0)


@contextlib.asynccontextmanager
async def sink_for(store, bucket="media", **options):
    sink = GCSSink(bucket, **{"chunk_size": PART, **store.options, **options})
    try:
        yield sink
    finally:
        await sink.aclose()


def info(size, name="cat.jpg", content_type="image/jpeg"):
    return UploadInfo("photos", name, name.replace(" ", "_"), "", content_type, size)


async def write(writer, data, chunk_size=64 * 1024):
    for start in range(0, len(data), chunk_size):
        before = writer.offset
        await writer.write(data[start : start + chunk_size])
        assert before <= writer.offset


async def upload(sink, data, **kwargs):
    writer = await sink.open(info(len(data), **kwargs))
    await write(writer, data)
    return await writer.finish()


def crc32c(data):
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
