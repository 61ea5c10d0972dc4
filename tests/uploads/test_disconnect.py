"""However a connection ends, within a second nothing of its uploads is left on the disk."""

from __future__ import annotations

import os
import signal

import pytest

from djust_uploads.testing import UploadClient
from djust_uploads.wire import FrameType
from tests.support.servers import serve, wait_until

CHUNK = 64 * 1024
LEAVE = [lambda page: page.drop(), lambda page: page.socket.close()]


async def begin(page, slot, size=3_000_000):
    """Half of a file on its way: enough for the sink to have written some of it."""
    ref = await page.register(slot, "a.bin", size)
    await page.send_chunks(ref, bytes(size // 2))
    return ref


async def test_nothing_is_created_before_the_first_bytes(page, plain_site):
    ref = await page.register("default", "a.bin", 100_000)
    await page.event("ping")
    assert plain_site.temporary_files() == []
    await page.send_chunks(ref, bytes(CHUNK))
    assert await wait_until(plain_site.temporary_files)


@pytest.mark.parametrize("leave", LEAVE, ids=["drop", "close"])
async def test_in_the_middle_of_an_upload(page, plain_site, leave):
    await begin(page, "default")
    assert await wait_until(plain_site.temporary_files)
    await leave(page)
    assert await plain_site.no_temporary_files()


@pytest.mark.parametrize("leave", LEAVE, ids=["drop", "close"])
async def test_with_unconsumed_entries(page, plain_site, leave):
    for n in range(3):
        await page.upload("default", f"{n}.bin", bytes(100_000))
    assert len(plain_site.temporary_files()) == 3
    await leave(page)
    assert await plain_site.no_temporary_files()


async def test_with_several_entries_in_every_state(page, plain_site):
    await page.register("default", "registered.bin", 1000)
    await page.upload("default", "complete.bin", bytes(1000))
    await begin(page, "default")
    await begin(page, "big-chunks")
    await page.drop()
    assert await plain_site.no_temporary_files()


async def test_while_a_slow_sink_writes(page, plain_site):
    """The sink's call in hand ends first, then the sink is told to forget; the siblings' files do
    not wait for it."""
    await page.event("sink_calls", sink="slow")
    await begin(page, "slow", 400_000)
    await page.upload("default", "a.bin", bytes(100_000))
    await page.drop()
    assert await plain_site.no_temporary_files()
    async with UploadClient(plain_site.ws("/ws/")) as other:
        assert "abort" in await calls_until_abort(other)


async def calls_until_abort(page):
    seen = []
    for _ in range(100):
        await page.event("sink_calls", sink="slow")
        message = await page.wait_for(event="sink_calls")
        page.messages.remove(message)
        seen += message["payload"]["calls"]
        if "abort" in seen:
            break
    return seen


async def test_client_that_oversteps_its_limit(page, plain_site):
    """Where its socket is not read while it is over its limit, its end shows when it is told
    something: of its progress, or once a second that it stands still."""
    await page.upload("default", "a.bin", bytes(100_000))
    ref = await page.register("slow", "a.bin", 100_000_000)
    for index in range(68):
        await page.send_frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
    await page.drop()
    assert await plain_site.no_temporary_files(seconds=3)


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
async def test_server_is_terminated(tmp_path, server):
    with serve("tests.sites.plain:application", tmp_path / "uploads", server=server) as site:
        async with UploadClient(site.ws("/ws/")) as page:
            await page.mounted()
            await page.upload("default", "complete.bin", bytes(1000))
            await begin(page, "default")
            assert await wait_until(lambda: len(site.temporary_files()) == 2)
            os.kill(site.process.pid, signal.SIGTERM)
            assert await wait_until(lambda: site.process.poll() is not None, 10)
        assert site.temporary_files() == []
