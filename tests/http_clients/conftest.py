from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_clients.support import HASTY
from tests.support import endpoints
from tests.support.endpoints import Endpoint


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Ours."""
    with endpoints.ours(tmp_path_factory.mktemp("http"), CORS_ORIGINS=["*"]) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Ours, where uploads expire soon."""
    with endpoints.ours(
        tmp_path_factory.mktemp("hasty"), RESUME_TTL=HASTY, CORS_ORIGINS=["*"]
    ) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose names are their sizes; :func:`.support.file_of` makes them."""
    return tmp_path_factory.mktemp("files")
