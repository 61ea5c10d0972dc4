"""GCSSink, on an emulator and on the proxy that corrects it and breaks as told."""

from __future__ import annotations

import pytest

from djust_uploads.sinks.gcs import bucket as gcs
from tests.support.matrix import again


@pytest.fixture(params=[again("emulator"), "proxy"])
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
    """A request is repeated at once."""
    monkeypatch.setattr(gcs, "PAUSE", 0)
