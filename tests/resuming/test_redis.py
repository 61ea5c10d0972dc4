"""Redis is restarted, flushed, or replaced by an empty one, while uploads run and are parked.

Each upload arrives whole, or its page is told to begin it again. A page that asks while Redis is
down, is told so. Nothing hangs, and nothing is left.
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

    async def arrives(self):
        await self.page.send_chunks(self.ref, self.data)
        await self.page.complete(self.ref)
        assert await arrived(self.page, SLOT) == {self.ref: sha256(self.data)}
        assert len(self.page.endings(self.ref)) == 1


@contextlib.asynccontextmanager
async def uploads(site, count):
    """Uploads of as many visitors."""
    async with contextlib.AsyncExitStack() as stack:
        begun = []
        for _ in range(count):
            page = UploadClient(site.ws("/ws/"), cookies=new_session())
            begun.append(Upload(await stack.enter_async_context(page)))
            await page.mounted()
            await begun[-1].begin()
        yield begun


def restart(redis):
    redis.kill()
    redis.start()


@pytest.mark.parametrize("how", ["restarted", "flushed", "replaced"])
async def test_redis_is(tmp_path, how):
    disk = tmp_path / "redis"
    disk.mkdir()
    with contextlib.closing(Redis(disk if how == "restarted" else None)) as redis:
        with resume_site(tmp_path, redis.environ) as site:
            async with uploads(site, 3) as (running, parked, orphan):
                # The process that had the orphan dies, so that only Redis knows of it.
                with resume_site(tmp_path, redis.environ) as other:
                    orphan.page.url = other.ws("/ws/")
                    await orphan.page.reconnect()
                    await orphan.resume()
                    await asyncio.to_thread(other.kill)
                await parked.page.drop()
                redis.flush() if how == "flushed" else restart(redis)
                await running.arrives()
                await parked.page.reconnect()
                assert await parked.resume() == "resumed"
                await parked.arrives()
                orphan.page.url = site.ws("/ws/")
                await orphan.page.reconnect()
                known = how == "restarted"
                assert await orphan.resume() == ("resumed" if known else "not_found")
                await orphan.arrives()
        if not known:
            await TemporaryFileSink(site.uploads).sweep(datetime.timedelta())
        assert site.temporary_files() == []


async def test_redis_is_down_for_a_while(tmp_path):
    with contextlib.closing(Redis()) as redis, resume_site(tmp_path, redis.environ) as site:
        async with uploads(site, 2) as (running, parked):
            await parked.page.drop()
            redis.kill()
            await running.arrives()
            await parked.page.reconnect()
            with pytest.raises(UploadFailed, match="storage_unavailable"):
                await parked.resume()
            # A new file needs no Redis: if its connection is lost, it begins again.
            late = Upload(running.page)
            late.ref = await late.page.register(SLOT, "late.bin", SIZE, resumable=True)
            await late.arrives()
            redis.start()
            await parked.page.reconnect()
            assert await parked.resume() == "resumed"
            await parked.arrives()
        assert await site.no_temporary_files()
