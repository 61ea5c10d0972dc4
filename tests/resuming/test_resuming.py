"""Resuming: by another connection of the same process, and by another process, as which a second
parking and the shared cache serve here. Real processes are in test_resume_processes.py."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from dataclasses import replace

import pytest
from django.core.cache import cache
from django.test import override_settings

from djust_uploads import MemorySink, TemporaryFileSink
from djust_uploads.exceptions import SinkFull, UploadLocked
from djust_uploads.resuming.leases import Lease
from djust_uploads.resuming.parking import Parking
from djust_uploads.resuming.saved import SavedUpload
from djust_uploads.sinks import temporary_file
from djust_uploads.sinks.temporary_file import PREFIX, TemporaryFileWriter
from djust_uploads.testing import RecordingSink
from djust_uploads.transfer import client_side, sink_side
from djust_uploads.uploads import manager, process
from djust_uploads.wire import FrameType
from tests.support.connection import Connection
from tests.support.servers import wait_until

CHUNK = 64 * 1024
DATA = os.urandom(40 * CHUNK + 5)
ALICE = "user:1"


@pytest.fixture(autouse=True)
def durable_soon(monkeypatch):
    """Some of ``DATA`` before all of it came."""
    monkeypatch.setattr(temporary_file, "GATHER", 16 * CHUNK)


@pytest.fixture(autouse=True)
def parking(monkeypatch):
    monkeypatch.setattr(process, "parking", Parking())
    return process.parking


@pytest.fixture
def other_process(monkeypatch):
    """From the call on, the parking is another process's."""
    return lambda: monkeypatch.setattr(process, "parking", Parking())


@pytest.fixture
def sink(tmp_path):
    return TemporaryFileSink(tmp_path)


def files(tmp_path):
    return [path for path in tmp_path.iterdir() if path.name.startswith(PREFIX)]


def connect(sink, owner=ALICE, **options):
    return Connection(owner=owner, sink=sink, resumable=True, **options)


async def send_some(page, chunks=10, data=DATA):
    """Register and send so many chunks; returns when the sink took them."""
    ref = await page.register(len(data))
    await page.chunks(ref, data[: chunks * CHUNK])
    [entry] = page.entries()
    assert await wait_until(lambda: entry.taken == chunks * CHUNK)
    return ref


async def settled(parking):
    """Every parked transfer has saved what it could."""
    transfers = list(parking._transfers.values())

    def is_saved(transfer):
        return transfer._sink.checkpoints.offset == transfer.entry.taken

    assert await wait_until(lambda: all(map(is_saved, transfers)))


# In one process


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
        self._gathered += len(chunk)
        self._chunks.append(chunk)

    async def flush(self):
        if self._gathered == self._upload.size:
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


async def test_memory_is_not_kept_when_nobody_comes(monkeypatch, parking):
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.05)
    sink = RecordingSink()
    async with connect(sink) as page:
        ref = await send_some(page)
    assert await wait_until(lambda: not parking._transfers)
    assert sink.calls[-1] == ("abort",)
    async with connect(sink) as page:
        assert (await page.resume(ref))["status"] == "not_found"


async def test_complete_upload_expires(sink, tmp_path, parking):
    with override_settings(DJUST_UPLOADS={"RESUME_TTL": 1}):
        async with connect(sink) as page:
            assert (await page.upload(DATA))["status"] == "complete"
        assert len(files(tmp_path)) == 1
        assert await wait_until(lambda: not files(tmp_path), 3)
        assert not parking._transfers


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


class BrokenSink(RecordingSink):
    broken = False

    async def open(self, upload):
        writer = await super().open(upload)
        writer.__class__ = type("BrokenWriter", (type(writer),), {"write": _write_or_break})
        writer.checkpoint = _some_checkpoint
        return writer


async def _write_or_break(self, chunk):
    if self._sink.broken:
        # Until the connection is gone.
        await asyncio.sleep(0.05)
        raise SinkFull("disk 7")


async def _some_checkpoint():
    return {}


# In another process


@pytest.mark.parametrize("ended", ["suspended", "killed"])
async def test_goes_on_in_another_process(sink, tmp_path, parking, other_process, ended):
    async with connect(sink) as page:
        ref = await send_some(page, 40)
        if ended == "suspended":
            await page.manager.aclose()
            await settled(parking)
        acknowledged = max(m.get("offset", 0) for m in page.sent)
        other_process()
        async with connect(sink) as new:
            answer = await new.resume(ref)
            assert answer["status"] == "resumed"
            assert answer["offset"] == answer["bytes_received"] >= acknowledged
            if ended == "suspended":
                assert answer["offset"] == 40 * CHUNK
            assert (await new.go_on(answer, DATA))["status"] == "complete"
            [entry] = new.entries()
            assert (entry.data, entry.content_type) == (DATA, "application/octet-stream")
    assert len(files(tmp_path)) == 1


class SlowToResume(TemporaryFileSink):
    """Says when it was asked to, and waits until ``found``."""

    async def resume(self, upload, checkpoint):
        self.found = asyncio.Event()
        await self.found.wait()
        return await super().resume(upload, checkpoint)


@pytest.fixture
async def half_resumed(tmp_path, parking, other_process):
    """A sink that another process is resuming from, the page that asked for it, and its ref."""
    sink = SlowToResume(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    other_process()
    async with connect(sink) as page:
        await page.manager.resume({"ref": ref}, page.send)
        assert await wait_until(lambda: hasattr(sink, "found"))
        yield sink, page, ref
        sink.found.set()


@pytest.mark.parametrize("frame", [FrameType.CHUNK, FrameType.COMPLETE])
async def test_client_that_does_not_wait_for_the_answer(half_resumed, frame):
    sink, page, ref = half_resumed
    await page.frame(frame, ref, 0, DATA[:CHUNK] if frame is FrameType.CHUNK else b"")
    sink.found.set()
    assert (await page.ended(ref))["code"] == "chunk_out_of_order"
    assert page.entries()[0].error_code == "chunk_out_of_order"


async def test_second_page_that_resumes_before_the_first_was_answered(half_resumed):
    sink, page, ref = half_resumed
    async with connect(sink) as second:
        answer = asyncio.create_task(second.resume(ref))
        assert await wait_until(lambda: second.manager.roster.transfers)
        sink.found.set()
        assert (await answer)["offset"] == 10 * CHUNK
        assert (await second.go_on(await answer, DATA))["status"] == "complete"
        assert second.entries()[0].data == DATA
        assert [m["status"] for m in second.sent].count("resumed") == 1
        assert [m["status"] for m in page.sent if m["ref"] == ref] == ["locked"]


async def test_only_what_is_saved_is_acknowledged(sink, monkeypatch):
    monkeypatch.setattr("djust_uploads.resuming.checkpoints.SAVE_INTERVAL", 0)
    async with connect(sink) as page:
        ref = await send_some(page, 40)
        held = page.manager.roster.transfers[ref]
        saved = await Lease.supersede(held.upload_id)
        assert saved[1].checkpoint["offset"] == page.entries()[0].offset > 0


async def test_superseded_process_lets_go(sink, tmp_path, other_process, monkeypatch):
    """Its client is told; and it neither finishes nor deletes what is another's now."""
    monkeypatch.setattr("djust_uploads.resuming.checkpoints.SAVE_INTERVAL", 0)
    async with connect(sink) as old:
        ref = await send_some(old, 20)
        other_process()
        async with connect(sink) as new:
            answer = await new.resume(ref)
            index = 20
            while not any(m.get("code") for m in old.sent):
                await old.frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
                index += 1
                await asyncio.sleep(0.01)
            assert (await old.ended(ref))["code"] == "locked"
            assert (await new.go_on(answer, DATA))["status"] == "complete"
            assert new.entries()[0].data == DATA


@pytest.mark.parametrize("size", [30 * CHUNK, len(DATA)], ids=["on its way", "complete"])
async def test_what_another_process_took_over_is_not_adopted(
    sink, parking, other_process, monkeypatch, size
):
    """The upload comes back to the process that had it before, which must not go back."""
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    other_process()
    async with connect(sink) as there:
        answer = await there.resume(ref)
        if size == len(DATA):
            await there.go_on(answer, DATA)
        else:
            await there.frame(FrameType.CHUNK, ref, 10, DATA[10 * CHUNK : 11 * CHUNK])
            [entry] = there.entries()
            assert await wait_until(lambda: entry.taken == 11 * CHUNK)
    if size != len(DATA):
        await settled(process.parking)
        size = 11 * CHUNK
    monkeypatch.setattr(process, "parking", parking)
    async with connect(sink) as page:
        answer = await page.resume(ref)
        assert answer["offset"] == answer["bytes_received"] == size
        assert (await page.go_on(answer, DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


class FirstResumeWaits(TemporaryFileSink):
    """The first one waits for ``gate``."""

    def __init__(self, directory):
        super().__init__(directory)
        self.reached, self.gate = asyncio.Event(), asyncio.Event()

    async def resume(self, upload, checkpoint):
        if not self.reached.is_set():
            self.reached.set()
            await self.gate.wait()
        return await super().resume(upload, checkpoint)


async def test_process_that_is_overtaken_while_its_sink_resumes(tmp_path, other_process):
    """It doesn't find the file where it was: that is no reason to begin anew."""
    sink = FirstResumeWaits(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page, 20)
        other_process()
        async with connect(sink) as late:
            answering = asyncio.create_task(late.resume(ref))
            await sink.reached.wait()
            other_process()
            async with connect(sink) as new:
                answer = await new.resume(ref)
                sink.gate.set()
                assert (await answering)["status"] == "locked"
                assert (await new.go_on(answer, DATA))["status"] == "complete"
                assert new.entries()[0].data == DATA


@pytest.mark.parametrize("end", ["cancel", "disconnect", "finish"])
async def test_superseded_process_deletes_nothing(sink, tmp_path, other_process, end):
    async with connect(sink) as old:
        ref = await send_some(old, 20)
        held = old.manager.roster.transfers[ref]
        other_process()
        async with connect(sink) as new:
            answer = await new.resume(ref)
            if end == "cancel":
                await old.frame(FrameType.CANCEL, ref)
                await held.wait_ended()
            elif end == "disconnect":
                await old.manager.aclose()
                await held.wait_ended()
            else:
                assert (await old.go_on(answer | {"bytes_received": 20 * CHUNK}, DATA))[
                    "code"
                ] == "locked"
            assert (await new.go_on(answer, DATA))["status"] == "complete"
            assert new.entries()[0].data == DATA


class SlowToEnd(TemporaryFileSink):
    """``calls`` that its writers have begun; each returns when it may."""

    def __init__(self, directory):
        super().__init__(directory)
        self.calls, self.may_return = [], asyncio.Event()

    async def open(self, upload):
        writer = await super().open(upload)
        writer.__class__, writer.sink = SlowToEndWriter, self
        return writer

    async def begun(self, call):
        self.calls.append(call)
        await self.may_return.wait()


class SlowToEndWriter(TemporaryFileWriter):
    async def abort(self):
        await self.sink.begun("abort")
        await super().abort()

    async def finish(self):
        file = await super().finish()
        await self.sink.begun("finish")
        return file


async def test_what_is_being_deleted_can_not_be_resumed(tmp_path, other_process):
    sink = SlowToEnd(tmp_path)
    async with connect(sink) as old:
        ref = await send_some(old)
        await old.frame(FrameType.CANCEL, ref)
        assert await wait_until(lambda: sink.calls == ["abort"])
        other_process()
        async with connect(sink) as new:
            assert (await new.resume(ref))["status"] == "not_found"
        sink.may_return.set()
        assert (await old.ended(ref))["status"] == "cancelled"
    assert files(tmp_path) == []


async def test_one_of_two_that_finish_tells_the_application(tmp_path, other_process):
    sink, completed = SlowToEnd(tmp_path), []
    async with connect(sink, on_complete=completed.append) as old:
        ref = await old.register(len(DATA))
        await old.chunks(ref, DATA)
        await old.frame(FrameType.COMPLETE, ref)
        assert await wait_until(lambda: sink.calls == ["finish"])
        other_process()
        async with connect(sink, on_complete=completed.append) as new:
            answer = await new.resume(ref)
            sink.may_return.set()
            assert (await old.ended(ref))["code"] == "locked"
            assert (await new.go_on(answer, DATA))["status"] == "complete"
            assert new.entries()[0].data == DATA
    assert [entry.client_size for entry in completed] == [len(DATA)]


async def test_what_another_process_ended_is_not_adopted(sink, parking, monkeypatch):
    """However long ago: this one was not told."""
    monkeypatch.setattr("djust_uploads.resuming.leases._CLAIM_TIMEOUT", 0.01)
    async with connect(sink) as old:
        ref = (await old.upload(DATA))["ref"]
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(process, "parking", Parking())
            async with connect(sink) as new:
                await new.resume(ref)
                assert (await new.ended(ref))["status"] == "complete"
                await new.frame(FrameType.CANCEL, ref)
                assert await wait_until(lambda: new.sent[-1]["status"] == "cancelled")
        await asyncio.sleep(0.02)
        async with connect(sink) as page:
            assert (await page.resume(ref))["status"] == "not_found"


async def test_complete_one_comes_back_complete_in_another_process(sink, parking, other_process):
    calls = []
    async with connect(sink, on_complete=calls.append) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA)
        await page.frame(FrameType.COMPLETE, ref)
        assert (await page.ended(ref))["status"] == "complete"
    other_process()
    async with connect(sink, on_complete=calls.append) as page:
        answer = await page.resume(ref)
        assert answer["bytes_received"] == len(DATA)
        assert (await page.ended(ref))["status"] == "complete"
        assert page.entries()[0].data == DATA
    assert len(calls) == 1


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_consumed_one_is_told_as_consumed(sink, tmp_path, other_process, elsewhere):
    async with connect(sink) as page:
        ref = (await page.upload(DATA))["ref"]
        with page.manager.turn():
            for entry in page.manager.consume("files"):
                assert entry.data == DATA
        assert await wait_until(lambda: page.sent[-1]["type"] == "upload_consumed")
    if elsewhere:
        other_process()
    async with connect(sink) as page:
        assert (await page.resume(ref))["status"] == "not_found"
        assert {"type": "upload_consumed", "upload_name": "files", "refs": [ref]} in page.sent
        assert page.entries() == []


@pytest.mark.parametrize("again", [False, True])
async def test_consumed_one_is_consumed_before_the_handler_returns(sink, again):
    async with connect(sink) as page, connect(sink) as other:
        refs = [(await page.upload(DATA))["ref"] for _ in range(2)]
        with page.manager.turn():
            consumed = page.manager.consume("files")
            assert next(consumed).ref == refs[0]
            assert next(consumed).ref == refs[1]
            assert (await other.resume(refs[0]))["status"] == "not_found"
            assert other.sent[0]["refs"] == [refs[0]]
            assert (await other.resume(refs[1]))["status"] == "locked"
        if again:
            assert await wait_until(lambda: page.sent[-1]["type"] == "upload_consumed")
        assert (await other.resume(refs[1]))["status"] == "not_found"
        assert other.sent[-2]["refs"] == [refs[1]]


async def test_late_frame_of_a_complete_upload_that_was_resumed_and_consumed(sink):
    async with connect(sink) as old, connect(sink) as page:
        ref = (await old.upload(DATA))["ref"]
        await page.resume(ref)
        with page.manager.turn():
            list(page.manager.consume("files"))
        assert await wait_until(lambda: page.sent[-1]["type"] == "upload_consumed")
        await page.frame(FrameType.CHUNK, ref, 0, b"late")
        assert (await page.ended(ref))["status"] == "complete"


class AllAtOnceCache:
    """Lets all see the same holder before any of them goes on."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)

    def get(self, name):
        found = cache.get(name)
        if name.count(":") == 1:
            self.barrier.wait(10)
        return found

    def __getattr__(self, name):
        return getattr(cache, name)


async def test_one_of_those_who_resume_at_once_wins():
    name = uuid.uuid4().hex
    await Lease.begin(name, a_saved_upload())
    leases = [Lease(name, f"token{number}") for number in range(5)]
    at_once = AllAtOnceCache(len(leases))
    results = await asyncio.gather(
        *(asyncio.to_thread(lease._supersede, at_once) for lease in leases), return_exceptions=True
    )
    locked = [isinstance(result, UploadLocked) for result in results]
    assert locked.count(False) == 1
    await leases[locked.index(False)].check()


async def test_claim_of_a_process_that_died_keeps_nobody_out_for_long(monkeypatch):
    monkeypatch.setattr("djust_uploads.resuming.leases._CLAIM_TIMEOUT", 1)
    saved = a_saved_upload()
    await Lease.begin("name", saved)
    real, died = cache.set, []

    def die(*args, **kwargs):
        died.append(args)
        raise RuntimeError("killed")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "set", die)
    with pytest.raises(RuntimeError):
        await Lease.supersede("name")
    monkeypatch.undo()
    assert died and cache.set == real
    with pytest.raises(UploadLocked):
        await Lease.supersede("name")
    await asyncio.sleep(1.1)
    assert (await Lease.supersede("name"))[1] == replace(saved, generation=1)


async def test_of_an_upload_that_has_ended_everybody_is_told_the_same():
    lease = await Lease.begin("ended", a_saved_upload())
    await lease.end()
    assert [await Lease.supersede("ended") for _ in range(3)] == [None] * 3


def a_saved_upload(**values):
    known = dict.fromkeys(SavedUpload.__dataclass_fields__, "x")
    numbers = {"client_size": 5, "chunk_size": 2, "generation": 0}
    return SavedUpload(**{**known, **numbers, "checkpoint": {}, **values})


async def test_lease_that_was_evicted_goes_on():
    name = uuid.uuid4().hex
    lease = await Lease.begin(name, a_saved_upload())
    await asyncio.to_thread(cache.clear)
    await lease.save(a_saved_upload(key="later"))
    assert (await Lease.supersede(name))[1].key == "later"
    with pytest.raises(UploadLocked):
        await lease.save(a_saved_upload())
    with pytest.raises(UploadLocked):
        await lease.check()


# Who may


@pytest.mark.parametrize("owner", ["user:2", "session:1", None])
async def test_foreign_upload_is_not_found_and_not_touched(sink, owner):
    async with connect(sink) as page:
        ref = await send_some(page)
        async with connect(sink, owner=owner) as foreign:
            assert (await foreign.resume(ref))["status"] == "not_found"
            await foreign.frame(FrameType.CANCEL, ref)
            await foreign.frame(FrameType.CHUNK, ref, 10, b"foreign")
        await page.chunks(ref, b"")
        rest = {"ref": ref, "chunk_size": CHUNK, "bytes_received": 10 * CHUNK}
        assert (await page.go_on(rest, DATA))["status"] == "complete"
        assert page.entries()[0].data == DATA


async def test_without_an_owner_nothing_is_resumable(sink, tmp_path):
    async with connect(sink, owner=None) as page:
        ref = await send_some(page)
        assert page.sent[0]["resumable"] is False
    assert files(tmp_path) == []
    async with connect(sink, owner=None) as page:
        assert (await page.resume(ref))["status"] == "not_found"


@pytest.mark.parametrize("ref", [None, 5, "x", "a" * 1000, str(uuid.UUID(int=7))])
async def test_ref_that_is_none(sink, ref):
    async with connect(sink) as page:
        await page.manager.resume({"ref": ref}, page.send)
        assert page.sent[-1]["status"] == "not_found"


@pytest.mark.parametrize(
    "options", [{"resumable": False}, {"max_file_size": 5}, {"accept": ".png"}, {"name": "others"}]
)
async def test_slot_must_still_take_it(sink, options, parking, other_process):
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    for move in (lambda: None, other_process):
        move()
        async with Connection(owner=ALICE, sink=sink) as page:
            page.manager.roster.slots.clear()
            from djust_uploads import UploadSlot

            known = {"name": "files", "sink": sink, "resumable": True, "max_file_size": 10**9}
            page.manager.configure(UploadSlot(**{**known, **options}))
            answer = await page.resume(ref)
            assert answer.get("status") in ("not_found", "error")
            assert answer.get("code") in (None, "file_too_large", "type_not_accepted")


@pytest.mark.parametrize("options", [{"max_file_size": 5}, {"resumable": False}])
async def test_page_that_may_not_resume_takes_nothing_away(sink, other_process, options):
    async with connect(sink) as page:
        ref = await send_some(page)
        other_process()
        async with Connection(**{"owner": ALICE, "sink": sink, "resumable": True, **options}) as no:
            answer = await no.resume(ref)
            assert (answer["status"], answer.get("code")) in [
                ("not_found", None),
                ("error", "file_too_large"),
            ]
        rest = {"ref": ref, "chunk_size": CHUNK, "bytes_received": 10 * CHUNK}
        assert (await page.go_on(rest, DATA))["status"] == "complete"


async def test_two_connections_of_a_process_that_resume_at_once(sink, parking, other_process):
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    other_process()
    async with connect(sink) as one, connect(sink) as two:
        _answer, answer = await asyncio.gather(one.resume(ref), two.resume(ref))
        assert answer["status"] == "resumed"
        told = [m.get("code", m["status"]) for m in one.sent if m["ref"] == ref]
        assert told.count("locked") == 1
        assert (await two.go_on(answer, DATA))["status"] == "complete"
        assert two.entries()[0].data == DATA


async def test_who_was_superseded_before_it_resumed_takes_nothing_away(
    sink, tmp_path, parking, other_process, monkeypatch
):
    """A process that is slow must not take the file from the one that resumed after it."""
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    before, asked = files(tmp_path), asyncio.Event()

    async def retried(sink, call):
        asked.set()
        await superseded.wait()
        return await call()

    superseded = asyncio.Event()
    other_process()
    async with connect(sink) as page:
        with monkeypatch.context() as patch:
            patch.setattr(sink_side.SinkSide, "_retried", retried)
            answer = asyncio.create_task(page.resume(ref))
            await asked.wait()
        held = page.manager.roster.transfers[ref]
        await Lease.supersede(held.upload_id)
        superseded.set()
        assert (await answer)["status"] == "locked"
    assert files(tmp_path) == before


async def test_another_sink_is_another_place(sink, tmp_path, parking, other_process):
    async with connect(sink) as page:
        ref = await send_some(page)
    await settled(parking)
    other_process()
    async with connect(MemorySink()) as page:
        assert (await page.resume(ref))["status"] == "not_found"
        assert page.entries() == []


# Faults


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


async def test_cache_that_hangs_keeps_no_file_waiting(sink, monkeypatch):
    """However many uploads ask it."""
    monkeypatch.setattr("djust_uploads.resuming.leases.CACHE_TIMEOUT", 0.2)
    released = threading.Event()
    hanging = {"default": {"BACKEND": f"{__name__}.HangingCache", "LOCATION": released}}
    try:
        with override_settings(CACHES=hanging):
            asked = [asyncio.create_task(_ask_and_give_up()) for _ in range(100)]
            await asyncio.gather(*asked)
            async with asyncio.timeout(5):
                await asyncio.to_thread(os.getpid)
    finally:
        released.set()


async def _ask_and_give_up():
    with pytest.raises(TimeoutError):
        await Lease.find("name")


class HangingCache:
    def __init__(self, released, params):
        self.released = released

    def close(self, **kwargs):
        pass

    def get(self, name):
        self.released.wait(30)


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
    import hashlib

    with override_settings(DJUST_UPLOADS={"SHA256": True}):
        async with connect(sink) as page:
            ref = await send_some(page)
        await settled(parking)
        other_process()
        async with connect(sink) as page:
            await page.go_on(await page.resume(ref), DATA)
            assert page.entries()[0].sha256 == hashlib.sha256(DATA).hexdigest()
