from __future__ import annotations

import pytest

from tests.support.clamd import clamd


@pytest.fixture(scope="session")
def running_clamd(tmp_path_factory):
    with clamd(tmp_path_factory.mktemp("clamd")) as running:
        yield running
