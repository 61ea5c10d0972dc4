from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator

import django
import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import hypothesis

from djust_uploads.testing import UploadClient
from tests.support.azure_stores import azurite
from tests.support.servers import Server, serve

# djust can't be installed beside Django 6. tests/wheel.sh runs the tests that do not need djust.
_WITH_DJUST = ["doors/test_liveview.py", "test_benchmarks.py", "test_demo.py", "browser"]
collect_ignore = [] if importlib.util.find_spec("djust") else _WITH_DJUST
# Azurite comes by npm; tests/azurite.sh says so where there is none.
collect_ignore += [] if azurite() else ["sinks/object_store/test_azure.py"]

# The machine may be busy: how long an example takes says nothing.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session", params=["uvicorn", "daphne"])
def plain_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """``tests.sites.plain``, on each ASGI server."""
    uploads = tmp_path_factory.mktemp(request.param) / "uploads"
    with serve("tests.sites.plain:application", uploads, server=request.param) as server:
        yield server


@pytest.fixture
async def page(plain_site: Server):
    """A page connected to ``plain_site``."""
    async with UploadClient(plain_site.ws("/ws/")) as client:
        await client.mounted()
        yield client


# The stores' SDKs are imported when a test wants one.


@pytest.fixture(scope="session")
def moto_store():
    from tests.support.s3_stores import moto

    with moto() as store:
        yield store


@pytest.fixture(scope="session")
def seaweedfs_store(tmp_path_factory: pytest.TempPathFactory):
    from tests.support.s3_stores import seaweedfs

    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(params=["moto", "seaweedfs"])
def store(request: pytest.FixtureRequest):
    """An empty bucket on each store."""
    from tests.support.s3_stores import empty

    store = request.getfixturevalue(f"{request.param}_store")
    empty(store)
    yield store
    assert store.uploads() == []


@pytest.fixture
async def broken(moto_store):
    """An empty bucket of moto's, behind a proxy that breaks as told."""
    from tests.support.faulty import faulty
    from tests.support.s3_stores import empty

    empty(moto_store)
    async with faulty(moto_store.endpoint_url) as proxy:
        yield proxy


# What the tests of resuming share.


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


@pytest.fixture(scope="session")
def gcs_store():
    """The emulator, behind the proxy that corrects it."""
    from tests.support.gcs_stores import emulator, proxy

    with emulator() as store, proxy(store) as corrected:
        yield corrected


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
        store = request.getfixturevalue("gcs_store")
        store.empty()
        store.reset()
        return resuming.gcs(store)
    return resuming.TEMPORARY
