"""The main job through a real socket: bytes go in, the application gets the same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from djust_uploads.testing import UploadClient

SIZES = [0, 1, 15, 16, 1000, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024 + 3]


@pytest.mark.parametrize("sink", ["default", "memory"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_arrives_is_what_was_sent(page, sink, size):
    data = os.urandom(size)
    ref = await page.upload(sink, "data.bin", data, "application/octet-stream")
    await page.event("report", slot=sink)
    message = await page.wait_for(type="push_event", event="consumed")
    assert message["payload"]["ref"] == ref
    assert message["payload"]["size"] == size
    assert message["payload"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert message["payload"]["sha256_on_the_way"] == hashlib.sha256(data).hexdigest()
    assert [m["status"] for m in page.endings(ref)] == ["complete"]


async def test_client_that_knows_no_limit_is_slowed_down_and_served(page):
    """djust's own client sends as fast as the socket takes it."""
    data = os.urandom(20_000_000)
    ref = await page.upload("default", "data.bin", data, honour_limit=False)
    await page.event("report", slot="default")
    message = await page.wait_for(type="push_event", event="consumed")
    assert message["payload"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert [m["status"] for m in page.endings(ref)] == ["complete"]


@pytest.mark.parametrize("sink", ["default", "memory"])
async def test_files_at_once(page, sink):
    files = [os.urandom(size) for size in (3_000_000, 10, 1_500_000)]
    await asyncio.gather(*(page.upload(sink, f"{n}.bin", data) for n, data in enumerate(files)))
    await page.event("report", slot=sink)
    consumed = [m["payload"] for m in page.messages if m.get("event") == "consumed"]
    assert [entry["client_name"] for entry in consumed] == ["0.bin", "1.bin", "2.bin"]
    assert [entry["sha256"] for entry in consumed] == [hashlib.sha256(d).hexdigest() for d in files]


async def test_chunks_of_the_slots_size(page):
    """A frame may be longer than 64 KiB where the slot says so."""
    data = os.urandom(1_000_000)
    await page.upload("big-chunks", "data.bin", data, chunk_size=256 * 1024)
    await page.event("report", slot="big-chunks")
    message = await page.wait_for(type="push_event", event="consumed")
    assert message["payload"]["sha256"] == hashlib.sha256(data).hexdigest()


# Handlers of a plain consumer


async def test_a_slow_handler_keeps_only_its_own_page_waiting(page, plain_site):
    async with UploadClient(plain_site.ws("/ws/")) as other:
        await other.mounted()
        slow = asyncio.create_task(page.event("sleep", seconds=2))
        await asyncio.sleep(0.2)
        await other.event("sleep", seconds=0)
        assert not slow.done()
        await slow


async def test_a_payload_that_json_cannot_carry_is_the_handlers_error(page):
    answer = await page.event("push_what_json_cannot_carry")
    assert answer["type"] == "error"
    assert (await page.event("ping"))["type"] == "noop"


async def test_a_property_is_no_handler(page):
    assert (await page.event("a_property"))["type"] == "error"


async def test_the_page_hears_of_slots_that_a_handler_changed(page):
    await page.event("shrink")
    message = await page.wait_for(type="upload_configs")
    assert message["upload_configs"]["one"]["max_file_size"] == 123
