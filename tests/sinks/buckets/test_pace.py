"""How many parts a sink sends at once, and when ``write()`` waits."""

from __future__ import annotations

import asyncio

from tests.support.buckets import MIB, PART, info, upload
from tests.support.faulty import faulty
from tests.support.s3_stores import empty


async def test_at_most_max_concurrency_parts_are_on_their_way(kind, moto_store):
    empty(moto_store)
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        kind.sink(slow, max_concurrency=3) as sink,
    ):
        await upload(sink, bytes(8 * PART))
        assert slow.most_in_flight == 3


async def test_write_waits_while_max_concurrency_parts_are_on_their_way(kind, broken, moto_store):
    async with kind.sink(broken, max_concurrency=1) as sink:
        release = broken.gates["UploadPart 1"] = asyncio.Event()
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(PART))
        await broken.wait_for("UploadPart 1")
        waiting = asyncio.create_task(writer.write(bytes(PART)))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        assert writer.offset == 0
        release.set()
        await waiting
        await writer.abort()
    assert moto_store.uploads() == []
