"""An interrupted upload goes on in another process, as which a second parking and the shared cache
serve here. Real processes are in test_two_processes.py."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from djust_uploads import TemporaryFileSink, receipts
from djust_uploads.exceptions import ReceiptUsed
from djust_uploads.resuming.leases import Lease
from djust_uploads.resuming.parking import Parking
from djust_uploads.sinks.temporary_file import TemporaryFileWriter
from djust_uploads.uploads import process
from djust_uploads.wire import FrameType
from tests.support.interrupted import (
    ALICE,
    CHUNK,
    DATA,
    connect,
    files,
    send_some,
    settled,
)
from tests.support.servers import wait_until


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


async def test_requests_that_consume_one_receipt_at_once(sink, other_process):
    """Requests of one process take the upload from each other while it comes from another one."""
    async with connect(sink) as page:
        await page.upload(DATA)
        [entry] = page.entries()
        receipt = receipts.issue(entry, ALICE)
    other_process()

    async def consume():
        scope = {"user": SimpleNamespace(is_authenticated=True, pk=1)}
        return await receipts.consume(receipt, scope, slot="files", sink=sink)

    async with asyncio.timeout(10):
        taken = await asyncio.gather(*(consume() for _ in range(3)), return_exceptions=True)
    [entry] = [one for one in taken if not isinstance(one, Exception)]
    assert entry.data == DATA
    assert [type(one) for one in taken if one is not entry] == 2 * [ReceiptUsed]
