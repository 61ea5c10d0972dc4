from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from djust_uploads.client import uploading
from tests.support import npm
from tests.support.endpoints import Endpoint


@pytest.fixture(scope="session", params=["@tus/server"])
def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """Each server that speaks tus."""
    with npm.tus_server(tmp_path_factory.mktemp("tus")) as server:
        yield Endpoint(request.param, server, "/files")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the client remembers unfinished uploads."""
    return tmp_path / "state" / "djust_uploads"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hardly waits before it tries again."""
    monkeypatch.setattr(uploading, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(uploading, "LONGEST_PAUSE", 0.05)
