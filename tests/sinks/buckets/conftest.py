"""S3Sink and ObjectStoreSink: what both must do, on moto and on SeaweedFS over TLS."""

from __future__ import annotations

import pytest

from tests.support.buckets import OBJECT_STORE, S3, no_pauses  # noqa: F401 (a fixture)


@pytest.fixture(params=[S3, OBJECT_STORE], ids=lambda kind: kind.name)
def kind(request):
    """The sink that a test is about."""
    return request.param


@pytest.fixture
def one_attempt(kind, monkeypatch):
    """No request is repeated."""
    monkeypatch.setattr(kind.client, "ATTEMPTS", 1)
