"""ObjectStoreSink on Azurite. Not collected where there is none."""

from __future__ import annotations

import pytest

from tests.azure_stores import azure
from tests.object_store_uploads import make_sink
from tests.test_object_store_contract import OnStore


@pytest.fixture(scope="session")
def azure_store():
    with azure() as store:
        yield store


@pytest.fixture
def az(azure_store):
    """An empty container."""
    azure_store.empty()
    yield azure_store
    assert azure_store.uploads() == []


class TestObjectStoreSinkOnAzure(OnStore):
    @pytest.fixture
    def sink(self, az):
        self.store = az
        return make_sink(az, "az://media")

    def leftovers(self, sink):
        return self.store.object_keys()
