"""An interrupted upload goes on in the process that has it."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from django.test import override_settings

from djust_uploads import MemorySink, TemporaryFileSink, receipts
from djust_uploads.sinks.temporary_file import TemporaryFileWriter
from djust_uploads.testing import RecordingSink
from djust_uploads.transfer import client_side
from djust_uploads.wire import FrameType
from tests.support.connection import Connection
from tests.support.interrupted import (
    ALICE,
    CHUNK,
    DATA,
    BrokenSink,
    connect,
    files,
    send_some,
)
from tests.support.servers import wait_until


async def test_goes_on_where_it_was_in_the_same_process(sink):
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert (answer["status"], answer["bytes_received"]) == ("resumed", 10 * CHUNK)
        assert (answer["chunk_size"], answer["progress"]) == (CHUNK, 24)
        assert answer["limit"] > 10 * CHUNK
        assert (await page.go_on(answer, DATA))["status"] == "complete"
        [entry] = page.entries()
        assert entry.data == DATA


async def test_nothing_is_sent_twice_of_what_only_memory_has():
    sink = MemorySink()
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["bytes_received"] == 10 * CHUNK
        assert (await page.go_on(answer, DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


class UnsavedSink(TemporaryFileSink):
    """Nothing becomes durable before the end, as in a part that is not full."""

    async def open(self, upload):
        writer = await super().open(upload)
        writer.__class__ = UnsavedWriter
        return writer


class UnsavedWriter(TemporaryFileWriter):
    async def write(self, chunk):
        self._gathering.add(chunk)

    async def flush(self):
        if self._gathering.size == self._upload.size:
            await super().flush()


@pytest.mark.parametrize("start", ["offset", "bytes_received"])
async def test_client_that_goes_on_from_the_offset_is_understood(tmp_path, start):
    sink = UnsavedSink(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert (answer["offset"], answer["bytes_received"]) == (0, 10 * CHUNK)
        assert (await page.go_on({**answer, "bytes_received": answer[start]}, DATA))[
            "status"
        ] == "complete"
        assert page.entries()[0].data == DATA


@pytest.mark.parametrize("index", [1, 9, 11])
async def test_client_that_goes_on_elsewhere_is_not(tmp_path, index):
    sink = UnsavedSink(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        await page.resume(ref)
        await page.frame(FrameType.CHUNK, ref, index, b"x")
        assert (await page.ended(ref))["code"] == "chunk_out_of_order"


async def test_half_open_connection_loses_the_upload_to_the_new_one(sink):
    async with connect(sink) as old, connect(sink) as new:
        ref = await send_some(old)
        answer = await new.resume(ref)
        assert (await old.ended(ref))["code"] == "locked"
        # Late frames of the old one change nothing.
        await old.frame(FrameType.CHUNK, ref, 10, b"late")
        await old.frame(FrameType.CANCEL, ref)
        assert (await new.go_on(answer, DATA))["status"] == "complete"
        assert new.entries()[0].data == DATA
        assert old.entries() == []
        assert [m.get("code") for m in old.sent if m.get("code")] == ["locked"]


async def test_page_that_can_not_be_told_anything_has_lost_the_upload(sink):
    async def gone(message):
        raise ConnectionError

    async with connect(sink) as old, connect(sink) as new:
        ref = await send_some(old)
        held = old.manager.roster.transfers[ref]
        old.manager.connection._send = gone
        await held.report()
        answer = await new.resume(ref)
        # Neither its late frames nor its end concern the new one.
        await old.frame(FrameType.CHUNK, ref, 0, b"late")
        await old.manager.aclose()
        assert (await new.go_on(answer, DATA))["status"] == "complete"
        assert new.entries()[0].data == DATA


async def test_resumed_again_and_again(sink):
    async with connect(sink) as page:
        ref = await send_some(page, 1)
    for sent in range(1, 40, 3):
        async with connect(sink) as page:
            answer = await page.resume(ref)
            assert answer["bytes_received"] == sent * CHUNK
            for index in range(sent, sent + 3):
                await page.frame(
                    FrameType.CHUNK, ref, index, DATA[index * CHUNK : (index + 1) * CHUNK]
                )
    async with connect(sink) as page:
        assert (await page.go_on(await page.resume(ref), DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


async def test_resume_of_what_this_connection_has_is_locked(sink):
    async with connect(sink) as page:
        ref = await send_some(page)
        assert (await page.resume(ref))["status"] == "locked"
        await page.frame(FrameType.CANCEL, ref)


async def test_ref_of_a_parked_upload_is_taken(sink):
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        message = {"upload_name": "files", "ref": ref, "client_name": "a", "client_size": 1}
        await page.manager.register({**message, "resumable": True}, page.send)
        assert page.sent[-1]["code"] == "duplicate_ref"


@pytest.mark.parametrize("end", ["disconnect", "cancel", "consume"])
async def test_ref_of_two_uploads_of_which_one_is_resumable(sink, tmp_path, end):
    """What happens to the one does not concern the other."""
    async with connect(sink) as page, Connection(owner=ALICE, sink=sink) as other:
        ref = await send_some(page)
        message = {"upload_name": "files", "ref": ref, "client_name": "a", "client_size": 1}
        await other.manager.register(message, other.send)
        await other.chunks(ref, b"a")
        await other.frame(FrameType.COMPLETE, ref)
        assert (await other.ended(ref))["status"] == "complete"
        if end == "cancel":
            await other.frame(FrameType.CANCEL, ref)
        elif end == "consume":
            with other.manager.turn():
                assert [entry.data for entry in other.manager.consume("files")] == [b"a"]
        await other.manager.aclose()
        assert await wait_until(lambda: len(files(tmp_path)) == 1)
        rest = {"ref": ref, "chunk_size": CHUNK, "bytes_received": 10 * CHUNK}
        assert (await page.go_on(rest, DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


async def test_parked_upload_that_has_all_ends_by_itself_and_comes_back_complete(sink, tmp_path):
    async with connect(sink) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA)
        await page.frame(FrameType.COMPLETE, ref)
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["bytes_received"] == len(DATA)
        ended = ("files", "complete")
        assert await wait_until(
            lambda: ended in [(m.get("upload_name"), m.get("status")) for m in page.sent]
        )
        await page.frame(FrameType.COMPLETE, ref)
        assert page.entries()[0].data == DATA
        with page.manager.turn():
            assert [entry.ref for entry in page.manager.consume("files")] == [ref]
        assert await wait_until(lambda: files(tmp_path) == [])


@pytest.mark.parametrize("finished", [False, True])
async def test_parked_upload_ends_when_nobody_comes(sink, tmp_path, monkeypatch, parking, finished):
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.05)
    async with connect(sink) as page:
        ref = await send_some(page)
    assert await wait_until(lambda: not parking._transfers)
    assert len(files(tmp_path)) == 1
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["offset"] == answer["bytes_received"] == 10 * CHUNK
        if finished:
            assert (await page.go_on(answer, DATA))["status"] == "complete"
            assert page.entries()[0].data == DATA
        else:
            await page.frame(FrameType.CANCEL, ref)
            assert (await page.ended(ref))["status"] == "cancelled"
            assert files(tmp_path) == []
            assert (await page.resume(ref))["status"] == "not_found"


async def test_owner_that_comes_and_goes_has_only_so_many_parked(
    sink, tmp_path, monkeypatch, parking, other_process
):
    """The oldest are let go of: those on their way can still go on, those that are complete end."""
    monkeypatch.setattr("djust_uploads.resuming.parking.PARKED_UPLOADS", 3)
    refs = []
    for data in (DATA, b"", b"", DATA, DATA, DATA):
        async with connect(sink, max_entries=1) as page:
            refs.append(await (send_some(page) if data else page.register(0)))
            if not data:
                await page.frame(FrameType.COMPLETE, refs[-1])
                assert (await page.ended(refs[-1]))["status"] == "complete"
    async with connect(sink, owner="user:2") as page:
        await send_some(page)
    assert await wait_until(lambda: len(parking._transfers) == 4)
    assert await wait_until(lambda: len(files(tmp_path)) == 5)
    async with connect(sink) as page:
        answers = [await page.resume(ref) for ref in refs]
        assert [answer["status"] for answer in answers] == [
            "resumed",
            "not_found",
            "not_found",
            "resumed",
            "resumed",
            "resumed",
        ]
    assert len(parking._owners) == 5


async def test_what_a_receipt_has_held_counts_among_the_uploads_of_its_owner(monkeypatch, parking):
    """A client that sends a form with errors again and again has no more uploads waiting."""
    monkeypatch.setattr("djust_uploads.resuming.parking.PARKED_UPLOADS", 3)
    sink, scope = MemorySink(), {"user": SimpleNamespace(pk=1, is_authenticated=True)}
    for _ in range(5):
        async with connect(sink, max_entries=1) as page:
            assert (await page.upload(DATA))["status"] == "complete"
            receipt = receipts.issue(page.entries()[0], ALICE)
        async with receipts.claimed(receipt, scope) as claim:
            assert claim.entry.data == DATA
    assert await wait_until(lambda: len(parking._transfers) == 3)


async def test_memory_is_not_kept_when_nobody_comes(monkeypatch, parking):
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.05)
    sink = RecordingSink()
    async with connect(sink) as page:
        ref = await send_some(page)
    assert await wait_until(lambda: not parking._transfers)
    assert sink.calls[-1] == ("abort",)
    async with connect(sink) as page:
        assert (await page.resume(ref))["status"] == "not_found"


async def test_client_that_comes_back_at_the_last_moment_is_served(monkeypatch, parking):
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.2)
    sink = MemorySink()
    async with connect(sink) as page:
        ref = await send_some(page)
    async with connect(sink) as page:
        # The loop is busy while the time runs out. Then the timer comes first, this test second,
        # and the upload's task, which the timer has woken, third.
        time.sleep(0.2)  # noqa: ASYNC251
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(parking._transfers) == 1
        answer = await page.resume(ref)
        assert answer["status"] == "resumed"
        assert (await page.go_on(answer, DATA))["status"] == "complete"


async def test_complete_upload_expires(sink, tmp_path, parking):
    with override_settings(DJUST_UPLOADS={"RESUME_TTL": 1}):
        async with connect(sink) as page:
            assert (await page.upload(DATA))["status"] == "complete"
        assert len(files(tmp_path)) == 1
        assert await wait_until(lambda: not files(tmp_path), 3)
        assert not parking._transfers
        # Nothing of it waits for the end of a time that it had for its call to the sink.
        timers = asyncio.get_running_loop()._scheduled
        assert await wait_until(
            lambda: "Deadline" not in repr([each for each in timers if not each.cancelled()])
        )


async def test_failure_that_nobody_heard_of_is_told_once(parking):
    sink = TemporaryFileSink
    async with connect(sink := BrokenSink()) as page:
        ref = await send_some(page)
        sink.broken = True
        await page.chunks(ref, b"")
        await page.frame(FrameType.CHUNK, ref, 10, b"x")
    assert await wait_until(lambda: not parking._transfers)
    async with connect(sink) as page:
        assert (await page.resume(ref))["code"] == "storage_full"
        await page.frame(FrameType.CHUNK, ref, 0, b"late")
        assert (await page.resume(ref))["status"] == "not_found"
        assert [m.get("code") for m in page.sent] == ["storage_full", None]
