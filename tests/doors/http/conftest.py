from __future__ import annotations

import pytest

from tests.resuming.conftest import cache, caches, destination
from tests.support.http import SERVERS, Client, http_site
from tests.support.resuming import new_session

__all__ = ["cache", "caches", "destination"]


@pytest.fixture(scope="session", params=SERVERS)
def site(request, tmp_path_factory):
    """``tests.sites.http`` on each ASGI server."""
    with http_site(tmp_path_factory.mktemp(f"http-{request.param}"), request.param) as site:
        site.server = request.param
        yield site


@pytest.fixture(scope="session")
def uvicorn_site(tmp_path_factory):
    with http_site(tmp_path_factory.mktemp("http-uvicorn-only")) as site:
        yield site


@pytest.fixture
async def client(site):
    """A client with a session."""
    async with Client(site, cookies=new_session(), headers={"Origin": site.http("")}) as client:
        yield client


@pytest.fixture
async def anonymous(site):
    async with Client(site) as client:
        yield client
