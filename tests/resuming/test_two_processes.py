"""Two servers behind one port, with a cache that they share: an upload goes on at either."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest

from djust_uploads.testing import UploadClient
from tests.support.caches import KINDS
from tests.support.link import Link
from tests.support.matrix import again
from tests.support.resuming import (
    MIB,
    TEMPORARY,
    completions,
    consumed,
    new_session,
    resume_site,
    sha256,
)

SIZES = [12 * MIB + 7, 5 * MIB, 100_000]

#: Bytes a second. Into S3, a part of 5 MiB must arrive between two cuts.
RATES = {"default": 4 * MIB, "s3": 8 * MIB, "gcs": 4 * MIB}


@contextlib.asynccontextmanager
async def cut_at_random(link):
    """Reset the link's connections again and again."""

    async def cut():
        while True:
            await asyncio.sleep(random.uniform(0.05, 0.8))
            await link.cut()

    cutting = asyncio.create_task(cut())
    try:
        yield
    finally:
        cutting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cutting


async def wander(directory, cache, destination):
    """Uploads arrive whole, however often their page lands elsewhere. Returns what was consumed."""
    files = [os.urandom(size) for size in SIZES]
    slot = destination.slot()
    with (
        resume_site(directory, cache, destination) as one,
        resume_site(directory, cache, destination) as two,
    ):
        async with (
            Link([one.port, two.port], rate=RATES[destination.alias]) as link,
            UploadClient(link.ws("/ws/"), cookies=new_session()) as page,
        ):
            async with cut_at_random(link):
                refs = await asyncio.gather(
                    *(
                        page.upload(slot, "data.bin", data, resumable=True, reconnects=1000)
                        for data in files
                    )
                )
            # Those that completed on an earlier connection come back, wherever this one is.
            await page.reconnect()
            for ref in refs:
                assert (await page.resume(ref))["status"] == "resumed"
                await page.ended(ref)
            got = await consumed(page, slot)
            assert {ref: entry["sha256"] for ref, entry in got.items()} == {
                ref: sha256(data) for ref, data in zip(refs, files, strict=True)
            }
            assert link.connections > 3
        assert set(refs) <= set(completions(one))
    return list(got.values())


# Of an upload that was cut off before its first checkpoint, the process that has it may keep a file
# that nobody comes back for, until a sweep takes it. So more may be stored than was consumed.


@pytest.mark.parametrize("kind", KINDS)
async def test_uploads_wander(tmp_path, caches, kind):
    for entry in await wander(tmp_path, caches[kind], TEMPORARY):
        assert not Path(entry["path"]).exists()


@pytest.mark.parametrize("destination", [again("s3"), "gcs"], indirect=True)
async def test_uploads_wander_on_their_way_into_a_store(tmp_path, cache, destination):
    entries = await wander(tmp_path, cache, destination)
    assert {entry["key"] for entry in entries} <= set(destination.keys())
