"""The main job through a real socket: bytes go in, the application gets the same bytes."""

from __future__ import annotations

import hashlib
import os

import pytest

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
