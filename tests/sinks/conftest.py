"""What the tests of the sinks share."""

from __future__ import annotations

import functools

import pytest
from botocore.loaders import JSONFileLoader

from tests.support.matrix import again


@pytest.fixture(scope="session", autouse=True)
def files_of_the_sdk():
    """What boto3 knows of S3 is read from the disk once, and not for each client."""
    with pytest.MonkeyPatch.context() as patch:
        read = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
        patch.setattr(JSONFileLoader, "load_file", lambda self, path: read(path))
        yield


@pytest.fixture(params=[again("moto"), "seaweedfs"])
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
