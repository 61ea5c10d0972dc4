from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import hypothesis

from djust_uploads.forms import UploadField
from djust_uploads.testing import UploadClient
from tests.support import npm, servers
from tests.support.azure_stores import azurite
from tests.support.matrix import leave_to_matrix
from tests.support.preloaded import Preloaded
from tests.support.servers import Server, serve

# djust can't be installed beside Django 6. tests/wheel.sh runs the tests that do not need djust.
_WITH_DJUST = ["doors/test_liveview.py", "test_benchmarks.py", "test_demo.py", "browser"]
collect_ignore = [] if importlib.util.find_spec("djust") else _WITH_DJUST
# Azurite comes by npm; tests/azurite.sh says so where there is none.
collect_ignore += [] if azurite() else ["sinks/object_store/test_azure.py"]
# These clients come by npm, too; tests/npm.sh says so where there are none.
_BY_NPM = ["tus_js", "chromium", "example"]
collect_ignore += [] if npm.modules() else [f"http_clients/test_{name}.py" for name in _BY_NPM]

# The machine may be busy: how long an example takes says nothing.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


#: The files that take longest, to be started first: a long file at the end keeps one worker busy
#: while the others have nothing left to do.
_SLOWEST = (
    "browser/test_reconnecting.py",
    "doors/test_fuzzed.py",
    "resuming/test_resume_ends.py",
    "test_deploy.py",
    "sinks/buckets/test_faults.py",
    "sinks/test_crashes.py",
    "browser/test_examples.py",
    "flow/test_windows.py",
    "sinks/buckets/test_objects.py",
    "resuming/test_two_processes.py",
    "sinks/s3/test_resuming.py",
    "uploads/test_state_machine.py",
    "browser/test_client_resume.py",
    "sinks/buckets/test_socket.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order for ``--dist loadfile --no-loadscope-reorder``."""
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(_SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    for item in items:
        leave_to_matrix(item)
    # The system checks ask whether there are such fields, and the import of tests/forms made some.
    UploadField.declared = False
    # What is in memory now stays there. The tests that collect garbage need not look at it.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def preloaded() -> Iterator[None]:
    """Servers do not begin with their imports."""
    servers.preloaded = Preloaded()
    yield
    servers.preloaded.close()
    servers.preloaded = None


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


@pytest.fixture(scope="session")
def gcs_emulator():
    from tests.support.gcs_stores import emulator

    with emulator() as store:
        yield store


@pytest.fixture(scope="session")
def gcs_proxy(gcs_emulator):
    """The emulator, behind the proxy that corrects it."""
    from tests.support.gcs_stores import proxy

    with proxy(gcs_emulator) as store:
        yield store
