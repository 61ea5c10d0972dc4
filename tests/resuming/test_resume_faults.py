"""A cache, a sink or a server that fails while an upload is interrupted."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

import pytest
from django.test import override_settings

from djust_uploads import TemporaryFileSink
from djust_uploads.resuming.leases import Lease
from djust_uploads.sinks.temporary_file import TemporaryFileWriter
from djust_uploads.testing import RecordingSink
from djust_uploads.uploads import manager
from djust_uploads.wire import FrameType
from tests.support.interrupted import (
    CHUNK,
    DATA,
    BrokenSink,
    connect,
    files,
    send_some,
    settled,
)
from tests.support.servers import wait_until


async def test_cache_that_fails_costs_no_upload(sink, tmp_path, caplog):
    broken = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    with override_settings(CACHES=broken):
        async with connect(sink) as page:
            assert (await page.upload(DATA))["status"] == "complete"
            assert page.entries()[0].data == DATA
            assert (await page.resume(str(uuid.uuid4())))["code"] == "storage_unavailable"
            with page.manager.turn():
                list(page.manager.consume("files"))
    assert "the resume cache failed" in caplog.text


async def test_cache_that_fails_later_costs_no_upload(sink, monkeypatch, caplog):
    monkeypatch.setattr("djust_uploads.resuming.checkpoints.SAVE_INTERVAL", 0)
    async with connect(sink) as page:
        ref = await send_some(page)
        acknowledged = page.entries()[0].offset
        with override_settings(CACHES={"default": {"BACKEND": f"{__name__}.BrokenCache"}}):
            rest = {"ref": ref, "chunk_size": CHUNK, "bytes_received": 10 * CHUNK}
            for index in range(10, 30):
                start = index * CHUNK
                await page.frame(FrameType.CHUNK, ref, index, DATA[start : start + CHUNK])
            assert await wait_until(lambda: page.entries()[0].taken == 30 * CHUNK)
            assert page.entries()[0].offset == acknowledged
            rest["bytes_received"] = 30 * CHUNK
            assert (await page.go_on(rest, DATA))["status"] == "complete"
            assert page.entries()[0].data == DATA
    assert caplog.text.count("the resume cache failed") == 1


class BrokenCache:
    def __init__(self, *args, **kwargs):
        pass

    def close(self, **kwargs):
        pass

    def __getattr__(self, name):
        raise ConnectionError("the cache is down")


async def test_connection_that_ends_waits_until_its_uploads_are_saved(sink, parking):
    """A server that shuts down cancels the rest when its connections have ended."""
    async with connect(sink) as page:
        await page.register(len(DATA))
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA[: 10 * CHUNK])
    [saved] = [t for t in parking._transfers.values() if t.is_saved]
    assert saved._sink.checkpoints.offset == 10 * CHUNK


async def test_connection_that_ends_does_not_wait_for_long(monkeypatch, parking):
    monkeypatch.setattr(manager, "SETTLE_TIMEOUT", 0.01)
    async with connect(RecordingSink(delay=60)) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA[:CHUNK])
    assert len(parking._transfers) == 1


async def test_shutdown_suspends(sink, tmp_path, parking, other_process):
    """The loop cancels its tasks when the server ends."""
    async with connect(sink) as page:
        ref = await send_some(page)
        held = page.manager.roster.transfers[ref]
        held._task.cancel()
        await held.wait_ended()
    assert len(files(tmp_path)) == 1
    other_process()
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["offset"] == 10 * CHUNK
        assert (await page.go_on(answer, DATA))["status"] == "complete"


class SilentSink(TemporaryFileSink):
    """``fault`` is what its checkpoints come to, from the second on."""

    fault = None

    async def open(self, upload):
        writer = await super().open(upload)
        writer.__class__, writer.sink = SilentWriter, self
        return writer


class SilentWriter(TemporaryFileWriter):
    async def checkpoint(self):
        if self.sink.fault == "hangs":
            await asyncio.Event().wait()
        elif self.sink.fault:
            raise RuntimeError("no checkpoint")
        return await super().checkpoint()


@pytest.mark.parametrize("fault", ["raises", "hangs"])
async def test_upload_whose_last_checkpoint_fails_goes_on_at_the_one_before(
    tmp_path, monkeypatch, fault
):
    monkeypatch.setattr("djust_uploads.resuming.checkpoints.CHECKPOINT_TIMEOUT", 0.05)
    sink = SilentSink(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page)
        [entry] = page.entries()
        sink.fault = fault
        held = page.manager.roster.transfers[ref]
        held._task.cancel()
        await held.wait_ended()
        acknowledged = entry.offset
    sink.fault = None
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["offset"] >= acknowledged
        assert (await page.go_on(answer, DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


async def test_shutdown_while_the_cache_is_down_deletes_nothing(sink, tmp_path, monkeypatch):
    """What was acknowledged before is still in there."""
    monkeypatch.setattr("djust_uploads.resuming.checkpoints.SAVE_INTERVAL", 0)
    async with connect(sink) as page:
        ref = await send_some(page, 20)
        [entry] = page.entries()
        acknowledged = entry.offset
        held = page.manager.roster.transfers[ref]
        monkeypatch.setattr(Lease, "save", _cache_is_down)
        held._task.cancel()
        await held.wait_ended()
        monkeypatch.undo()
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["offset"] >= acknowledged > 0
        await page.frame(FrameType.CANCEL, ref)


async def _cache_is_down(*args):
    raise ConnectionError("the cache is down")


async def test_shutdown_when_the_application_was_told_tells_it_no_second_time(
    sink, monkeypatch, other_process
):
    completed, saved = [], asyncio.Event()

    async def save(lease, upload):
        await real(lease, upload)
        if upload.status == "complete" and not saved.is_set():
            saved.set()
            await asyncio.Event().wait()

    real = Lease.save
    monkeypatch.setattr(Lease, "save", save)
    async with connect(sink, on_complete=completed.append) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA)
        await page.frame(FrameType.COMPLETE, ref)
        held = page.manager.roster.transfers[ref]
        await saved.wait()
        held._task.cancel()
        await held.wait_ended()
    other_process()
    async with connect(sink, on_complete=completed.append) as page:
        assert (await page.resume(ref))["status"] == "resumed"
        assert (await page.ended(ref))["status"] == "complete"
        assert len(completed) == 1


async def test_cache_that_fails_at_the_last_question(monkeypatch, parking):
    """It costs the answer, not the connection."""
    async with connect(sink := BrokenSink()) as page:
        ref = await send_some(page)
        sink.broken = True
        await page.frame(FrameType.CHUNK, ref, 10, b"x")
    assert await wait_until(lambda: not parking._transfers)
    monkeypatch.setattr(Lease, "end", _cache_is_down)
    async with connect(sink) as page:
        assert (await page.resume(ref))["code"] == "storage_unavailable"


async def test_sha256_of_a_resumed_file_is_right(sink, parking, other_process):
    with override_settings(DJUST_UPLOADS={"SHA256": True}):
        async with connect(sink) as page:
            ref = await send_some(page)
        await settled(parking)
        other_process()
        async with connect(sink) as page:
            await page.go_on(await page.resume(ref), DATA)
            assert page.entries()[0].sha256 == hashlib.sha256(DATA).hexdigest()
