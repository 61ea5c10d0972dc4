"""Redis is restarted, flushed, or replaced by an empty one, while uploads run and are parked.

Each upload arrives whole, or its page is told to begin it again. A page is told to try again later
if only Redis could know its upload, and is down. Nothing hangs, and nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import shutil

import pytest

from djust_uploads import TemporaryFileSink
from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.caches import Redis
from tests.support.resuming import (
    MIB,
    TEMPORARY,
    arrived,
    new_session,
    resume_site,
    sha256,
)
from tests.support.servers import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no Redis")

SLOT = TEMPORARY.slot()
SIZE = 5 * MIB + 3


class Upload:
    """A page with one file, of which the server has acknowledged the first part."""

    def __init__(self, page):
        self.page, self.data = page, os.urandom(SIZE)

    async def begin(self):
        page = self.page
        self.ref = await page.register(SLOT, "data.bin", SIZE, resumable=True)
        await page.send_chunks(self.ref, self.data, until=SIZE - 1000)
        assert await wait_until(lambda: page.acknowledged(self.ref), 10)

    async def resume(self):
        """Return what the page is told. It begins again if it has to."""
        status = (await self.page.resume(self.ref))["status"]
        if status == "not_found":
            self.ref = await self.page.register(SLOT, "data.bin", SIZE, resumable=True)
        return status

    async def comes_back(self, told="resumed"):
        """Come back over another connection, be ``told`` that, and arrive."""
        await self.page.reconnect()
        assert await self.resume() == told
        await self.arrives()

    async def arrives(self):
        await self.page.send_chunks(self.ref, self.data)
        await self.page.complete(self.ref)
        assert await arrived(self.page, SLOT) == {self.ref: sha256(self.data)}
        assert len(self.page.endings(self.ref)) == 1


@contextlib.asynccontextmanager
async def upload(site):
    """An upload of a visitor of its own."""
    async with UploadClient(site.ws("/ws/"), cookies=new_session()) as page:
        await page.mounted()
        begun = Upload(page)
        await begun.begin()
        yield begun


@contextlib.asynccontextmanager
async def uploads(directory, redis):
    """A site, an upload that runs, one that is parked, and one of which only Redis knows."""
    with (
        resume_site(directory, redis.environ) as site,
        resume_site(directory, redis.environ) as other,
    ):
        async with upload(site) as running, upload(site) as parked, upload(other) as orphan:
            await parked.page.drop()
            # What it has acknowledged is in Redis. This process dies.
            await asyncio.to_thread(other.kill)
            orphan.page.url = site.ws("/ws/")
            yield site, running, parked, orphan


@pytest.mark.parametrize("how", ["restarted", "flushed", "replaced"])
async def test_redis_is(tmp_path, how):
    keeps = how == "restarted"
    with contextlib.closing(Redis(tmp_path if keeps else None)) as redis:
        async with uploads(tmp_path, redis) as (site, running, parked, orphan):
            if how == "flushed":
                redis.flush()
            else:
                redis.kill()
                redis.start()
            await running.arrives()
            await parked.comes_back()
            await orphan.comes_back("resumed" if keeps else "not_found")
        if not keeps:
            await TemporaryFileSink(site.uploads).sweep(datetime.timedelta())
        assert site.temporary_files() == []


async def test_redis_is_down_for_a_while(tmp_path):
    with contextlib.closing(Redis(tmp_path)) as redis:
        async with uploads(tmp_path, redis) as (site, running, parked, orphan):
            redis.kill()
            await running.arrives()
            # Its process has it. Nobody else can have taken it meanwhile.
            await parked.comes_back()
            await orphan.page.reconnect()
            with pytest.raises(UploadFailed, match="storage_unavailable"):
                await orphan.resume()
            # A new file needs no Redis: if its connection is lost, it begins again.
            late = Upload(running.page)
            late.ref = await late.page.register(SLOT, "late.bin", SIZE, resumable=True)
            await late.arrives()
            redis.start()
            await orphan.comes_back()
        assert site.temporary_files() == []
