"""A slow sink slows its own upload down and nobody else; nothing blocks the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import time
import uuid

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from djust_uploads import MemorySink, TemporaryFileSink, UploadSlot
from djust_uploads.sinks.memory import MemoryWriter
from djust_uploads.testing import RecordingSink, UploadClient
from djust_uploads.uploads.manager import UploadManager
from djust_uploads.wire import Frame, FrameType, serialize
from tests.support.servers import wait_until

CHUNK = 64 * 1024

pytestmark = pytest.mark.alone


async def round_trips(page: UploadClient, until) -> list[float]:
    """Seconds that each event of ``page`` took, one after the other, until ``until()``."""
    seconds = []
    while not until():
        start = time.perf_counter()
        await page.event("ping")
        seconds.append(time.perf_counter() - start)
        await asyncio.sleep(0.01)
    return seconds


async def test_events_are_answered_while_a_slow_sink_writes(page, plain_site):
    ref = await page.register("slow", "a.bin", 4 * CHUNK)
    await page.send_chunks(ref, bytes(4 * CHUNK))
    await page.send_frame(FrameType.COMPLETE, ref)

    def ended() -> bool:
        return bool(page.endings(ref))

    async with UploadClient(plain_site.ws("/ws/")) as other:
        await other.mounted()
        same, others = await asyncio.gather(round_trips(page, ended), round_trips(other, ended))
    assert page.endings(ref)[0]["status"] == "complete"
    assert min(len(same), len(others)) > 10
    assert statistics.median(others) < 0.05
    assert statistics.median(same) < 0.25


class BlockingSink(MemorySink):
    """What a sink's author should not do."""

    async def open(self, upload):
        return BlockingWriter(upload)


class BlockingWriter(MemoryWriter):
    async def write(self, chunk):
        time.sleep(0.001)  # noqa: ASYNC251
        await super().write(chunk)


async def upload(sink, data: bytes, name: str = "data.bin", **options):
    """An upload without a socket: as a consumer calls the manager. Returns its last message, and
    the entry as a handler got it."""
    sent: list = []

    async def send(message):
        sent.append(message)

    manager, ref = UploadManager(), str(uuid.uuid4())
    manager.configure(UploadSlot("files", sink=sink, max_file_size=10**9, **options))
    register = {"upload_name": "files", "ref": ref, "client_name": name, "client_size": len(data)}
    await manager.register(register, send)
    for index, start in enumerate(range(0, len(data), CHUNK)):
        frame = Frame(FrameType.CHUNK, ref, index, data[start : start + CHUNK])
        await manager.receive(serialize(frame), send)
    await manager.receive(serialize(Frame(FrameType.COMPLETE, ref)), send)
    if transfer := manager.roster.transfers.get(ref):
        await transfer.wait_ended()
    ended = sent[-1]
    digest = hashlib.sha256()
    with manager.turn():
        for entry in manager.consume("files"):
            async for chunk in entry.file.achunks():
                digest.update(chunk)
    if ended["status"] == "complete":
        # The file is deleted after the handler; then the page is told.
        assert await wait_until(lambda: sent[-1]["type"] == "upload_consumed")
    await manager.aclose()
    return ended, digest.hexdigest()


def sinks(tmp_path):
    return {
        "memory": MemorySink(),
        "temporary": TemporaryFileSink(tmp_path),
        "recording": RecordingSink(delay=0.001),
        "by-entry": lambda entry: TemporaryFileSink(tmp_path),
    }


@pytest.mark.parametrize("name", ["memory", "temporary", "recording", "by-entry"])
@pytest.mark.parametrize("size", [0, 10, 3 * 1024 * 1024 + 7])
async def test_nothing_blocks_the_loop(tmp_path, name, size):
    data = os.urandom(size)
    sink = sinks(tmp_path)[name]
    with blockbuster_ctx():
        ended, digest = await upload(sink, data)
    assert ended["status"] == "complete"
    assert digest == hashlib.sha256(data).hexdigest()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["memory", "temporary", "recording"])
@pytest.mark.parametrize(
    ("client_name", "data", "code"),
    [
        ("a.png", b"<html>" + bytes(100), "active_content"),
        ("a.png", b"text", "content_mismatch"),
        ("a.xml", b"<?xml version='1.0'?><feed><feed>" + b" " * 2_000_000, "active_content"),
    ],
)
async def test_refusing_does_not_block_the_loop_either(tmp_path, name, client_name, data, code):
    sink = sinks(tmp_path)[name]
    with blockbuster_ctx():
        ended, _digest = await upload(sink, data, client_name)
    assert ended["code"] == code
    assert list(tmp_path.iterdir()) == []


async def test_leaving_does_not_block_the_loop_either(tmp_path):
    async def send(message):
        pass

    manager, ref = UploadManager(), str(uuid.uuid4())
    manager.configure(UploadSlot("files", sink=TemporaryFileSink(tmp_path)))
    with blockbuster_ctx():
        register = {
            "upload_name": "files",
            "ref": ref,
            "client_name": "a",
            "client_size": 5 * CHUNK,
        }
        await manager.register(register, send)
        await manager.receive(serialize(Frame(FrameType.CHUNK, ref, 0, bytes(CHUNK))), send)
        await manager.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_the_detector_detects():
    with blockbuster_ctx():
        ended, _digest = await upload(BlockingSink(), b"data")
    assert ended["code"] == "storage_error"
    with blockbuster_ctx(), pytest.raises(BlockingError):
        time.sleep(0)  # noqa: ASYNC251
