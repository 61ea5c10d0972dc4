from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from djust_uploads.client import uploading
from tests.support import endpoints
from tests.support.endpoints import Endpoint


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Ours."""
    with endpoints.ours(tmp_path_factory.mktemp("tus")) as endpoint:
        yield endpoint


@pytest.fixture
def another_author_s(tmp_path: Path) -> Iterator[Endpoint]:
    """@tus/server, a new process for each test: on Node 20, a client that closes its connection can
    end it."""
    with endpoints.another_author_s(tmp_path / "other") as endpoint:
        yield endpoint


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the client remembers unfinished uploads."""
    return tmp_path / "state" / "djust_uploads"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hardly waits before it tries again."""
    monkeypatch.setattr(uploading, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(uploading, "LONGEST_PAUSE", 0.05)
