"""What the tests of resuming share."""

from __future__ import annotations

import contextlib

import pytest

from djust_uploads import TemporaryFileSink
from djust_uploads.resuming.parking import Parking
from djust_uploads.sinks import temporary_file
from djust_uploads.uploads import process
from tests.support.interrupted import CHUNK


@pytest.fixture(autouse=True)
def durable_soon(monkeypatch):
    """Some of ``DATA`` before all of it came."""
    monkeypatch.setattr(temporary_file, "GATHER", 16 * CHUNK)


@pytest.fixture(autouse=True)
def parking(monkeypatch):
    monkeypatch.setattr(process, "parking", Parking())
    return process.parking


@pytest.fixture
def other_process(monkeypatch):
    """From the call on, the parking is another process's."""
    return lambda: monkeypatch.setattr(process, "parking", Parking())


@pytest.fixture
def sink(tmp_path):
    return TemporaryFileSink(tmp_path)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory):
    """Caches that processes share, by kind: the environment of a site that uses it."""
    from tests.support.caches import KINDS, running

    with contextlib.ExitStack() as stack:
        directory = tmp_path_factory.mktemp("cache")
        yield {kind: stack.enter_context(running(kind, directory)) for kind in KINDS}


@pytest.fixture
def cache(caches):
    """The one to be preferred."""
    return next(iter(caches.values()))


@pytest.fixture(params=["default", "s3", "gcs"])
def destination(request: pytest.FixtureRequest):
    """A temporary file, or an empty bucket."""
    from tests.support import resuming
    from tests.support import s3_stores as stores

    if request.param == "s3":
        store = request.getfixturevalue("seaweedfs_store")
        stores.empty(store)
        return resuming.s3(store)
    if request.param == "gcs":
        store = request.getfixturevalue("gcs_proxy")
        store.empty()
        store.reset()
        return resuming.gcs(store)
    return resuming.TEMPORARY
