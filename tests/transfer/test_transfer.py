"""A transfer and its sink: who calls whom when, what an error costs, and what bounds the buffer."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest
from django.test import override_settings

from djust_uploads import MemorySink, TemporaryFileSink, exceptions
from djust_uploads.exceptions import SinkFull, SinkMisconfigured, SinkUnavailable, ValidationFailed
from djust_uploads.flow.budget import budget
from djust_uploads.flow.window import START_WINDOW
from djust_uploads.sinks import disk, temporary_file
from djust_uploads.sinks.memory import MemoryWriter
from djust_uploads.sinks.temporary_file import TemporaryFileWriter
from djust_uploads.testing import RecordingSink
from djust_uploads.transfer import client_side
from djust_uploads.wire import FrameType
from tests.support.connection import Connection
from tests.support.servers import wait_until

CHUNK = 64 * 1024
DATA = bytes(3 * CHUNK)


def names(sink):
    return [call[0] for call in sink.calls]


async def test_calls_of_a_good_upload():
    sink = RecordingSink()
    async with Connection(sink=sink) as page:
        assert (await page.upload(DATA))["status"] == "complete"
        assert sink.calls[0][1].size == len(DATA)
        assert names(sink) == ["open", "write", "write", "write", "finish"]
        assert sum(call[1] for call in sink.calls if call[0] == "write") == len(DATA)


async def test_info_is_safe_to_store():
    sink = RecordingSink()
    async with Connection(sink=sink) as page:
        await page.upload(b"a\n", "../Zoë's notes.txt")
    info = sink.calls[0][1]
    assert (info.client_name, info.safe_client_name) == ("Zoë's notes.txt", "Zoe_s_notes.txt")
    assert (info.content_type, info.upload_name, info.size) == ("text/plain", "files", 2)
    assert len(info.key) == 32


async def test_keys_are_unique():
    sink = RecordingSink()
    async with Connection(sink=sink) as page:
        for _ in range(3):
            await page.upload(b"x")
    assert len({call[1].key for call in sink.calls if call[0] == "open"}) == 3


ERRORS = [
    (SinkFull("disk 7"), "storage_full"),
    (SinkUnavailable("503"), "storage_unavailable"),
    (SinkMisconfigured("no such bucket"), "storage_misconfigured"),
    (ValidationFailed("a virus", message="The file has a virus."), "invalid_file"),
    (ValueError("secret of the provider"), "storage_error"),
    (TimeoutError(), "timeout"),
]


@pytest.mark.parametrize("call", ["open", "write", "finish"])
@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
async def test_error_of_a_sink_ends_its_entry_once(call, error, code):
    sink = RecordingSink(fail={call: error})
    async with Connection(sink=sink) as page:
        ending = await page.upload(DATA)
        assert (ending["status"], ending["code"]) == ("error", code)
        assert "secret" not in ending["error"]
        assert names(sink).count("abort") == (0 if call == "open" else 1)
        assert names(sink)[-1] == ("open" if call == "open" else "abort")
        [entry] = page.entries()
        assert (entry.error_code, entry.complete) == (code, False)
        sink.fail.clear()
        assert (await page.upload(DATA))["status"] == "complete"


async def test_log_says_what_the_provider_said(caplog):
    async with Connection(sink=RecordingSink(fail={"write": ValueError("quota of 7")})) as page:
        await page.upload(DATA)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "quota of 7" in record.getMessage()
    assert isinstance(record.exc_info[1], ValueError)


async def test_abort_that_fails_does_not_hide_the_error(caplog):
    sink = RecordingSink(fail={"write": SinkFull(), "abort": OSError("abort failed")})
    async with Connection(sink=sink) as page:
        assert (await page.upload(DATA))["code"] == "storage_full"
    assert "a sweep may find its remains" in caplog.text


async def test_siblings_do_not_notice():
    broken, memory = RecordingSink(fail={"write": ValueError()}), MemorySink()
    choose = {"broken.bin": broken}.get
    async with Connection(sink=lambda entry: choose(entry.client_name, memory)) as page:
        endings = await asyncio.gather(
            *(page.upload(DATA, name) for name in ("a.bin", "broken.bin", "b.bin"))
        )
        assert [ending["status"] for ending in endings] == ["complete", "error", "complete"]


@pytest.mark.parametrize("chosen", ["nope", None, 7, ZeroDivisionError])
async def test_callable_that_names_no_sink(chosen):
    def choose(entry):
        if chosen is ZeroDivisionError:
            raise chosen
        return chosen

    async with Connection(sink=choose) as page:
        ending = await page.upload(DATA)
        if chosen is None:
            assert ending["status"] == "complete"
        else:
            assert ending["code"] == "storage_error"


class HangingSink(MemorySink):
    """Hangs in one call until it is released."""

    def __init__(self, call):
        self.call = call
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.done = []

    async def pause(self, call):
        if call == self.call:
            self.reached.set()
            await self.released.wait()
        self.done.append(call)

    async def open(self, upload):
        await self.pause("open")
        return HangingWriter(upload, self)


class HangingWriter(MemoryWriter):
    def __init__(self, upload, sink):
        super().__init__(upload)
        self._sink = sink

    async def write(self, chunk):
        await self._sink.pause("write")
        await super().write(chunk)

    async def finish(self):
        await self._sink.pause("finish")
        return await super().finish()

    async def abort(self):
        await self._sink.pause("abort")
        await super().abort()


@pytest.mark.parametrize("call", ["open", "write", "finish"])
async def test_call_that_takes_too_long(call):
    with override_settings(DJUST_UPLOADS={"SINK_TIMEOUT": 0.05}):
        sink = HangingSink(call)
        async with Connection(sink=sink) as page:
            assert (await page.upload(DATA))["code"] == "timeout"
    assert call not in sink.done
    assert ("abort" in sink.done) is (call != "open")


@pytest.mark.parametrize("call", ["open", "write", "finish"])
async def test_call_in_hand_is_not_torn_apart_by_a_cancel(call):
    """The sink is asked to forget after the call, and the page is told once."""
    sink = HangingSink(call)
    async with Connection(sink=sink) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA)
        await page.frame(FrameType.COMPLETE, ref)
        await sink.reached.wait()
        await page.frame(FrameType.CANCEL, ref)
        assert "abort" not in sink.done
        sink.released.set()
        assert (await page.ended(ref))["status"] == "cancelled"
        # A writer that finished has a file, which is deleted; any other is aborted.
        assert sink.done[-1] == ("finish" if call == "finish" else "abort")
        assert page.entries() == []


async def test_close_waits_for_the_call_in_hand():
    sink = HangingSink("write")
    page = Connection(sink=sink)
    ref = await page.register(len(DATA))
    await page.chunks(ref, DATA)
    await sink.reached.wait()
    closing = asyncio.create_task(page.manager.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    sink.released.set()
    await closing
    assert sink.done == ["open", "write", "abort"]


async def test_write_that_timed_out_keeps_its_descriptor(tmp_path, monkeypatch):
    """Its thread can't be stopped. A file opened meanwhile must not get what it still writes."""
    release, inodes = threading.Event(), []
    pwritev, abort = disk._pwritev, TemporaryFileWriter.abort

    def hanging_pwritev(fd, views, offset):
        inodes.append(os.fstat(fd).st_ino)
        release.wait(10)
        inodes.append(os.fstat(fd).st_ino)
        return pwritev(fd, views, offset)

    async def releasing_abort(self):
        asyncio.get_running_loop().call_later(0.01, release.set)
        await abort(self)

    monkeypatch.setattr(disk, "_pwritev", hanging_pwritev)
    monkeypatch.setattr(TemporaryFileWriter, "abort", releasing_abort)
    with override_settings(DJUST_UPLOADS={"SINK_TIMEOUT": 0.3}):
        async with Connection(sink=TemporaryFileSink(tmp_path)) as page:
            ref = await page.register(2 * temporary_file.GATHER)
            await page.chunks(ref, bytes(temporary_file.GATHER))
            assert (await page.ended(ref))["code"] == "timeout"
    async with asyncio.timeout(10):
        while len(inodes) < 2:  # noqa: ASYNC110 (the thread has no event)
            await asyncio.sleep(0.01)
    assert inodes[0] == inodes[1]
    assert list(tmp_path.iterdir()) == []


# on_complete


async def test_on_complete_gets_the_entry():
    seen = []
    async with Connection(sink="memory", on_complete=seen.append) as page:
        await page.upload(b"abc")
        assert [entry.data for entry in seen] == [b"abc"]


async def test_on_complete_may_be_async():
    seen = []

    async def on_complete(entry):
        seen.append(await entry.file.aread())

    async with Connection(sink="memory", on_complete=on_complete) as page:
        await page.upload(b"abc")
        assert seen == [b"abc"]


async def test_on_complete_that_raises_ends_nothing(caplog):
    def on_complete(entry):
        raise RuntimeError("the application failed")

    async with Connection(sink="memory", on_complete=on_complete) as page:
        assert (await page.upload(b"abc"))["status"] == "complete"
        [entry] = page.entries()
        assert entry.complete
    assert "the application failed" in caplog.text


async def test_on_complete_is_not_called_for_what_failed():
    seen = []
    sink = RecordingSink(fail={"finish": SinkFull()})
    async with Connection(sink=sink, on_complete=seen.append) as page:
        await page.upload(b"abc")
    assert seen == []


# The window


WINDOW = START_WINDOW // CHUNK


async def test_limit_is_what_the_sink_took_and_a_window():
    sink = HangingSink("write")
    async with Connection(sink=sink) as page:
        ref = await page.register(10 * START_WINDOW)
        [registered] = page.sent
        assert (registered["offset"], registered["limit"]) == (0, START_WINDOW)
        for index in range(WINDOW):
            await page.frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
        await sink.reached.wait()
        limited = page.manager.roster.transfers[ref]
        assert limited.limit == START_WINDOW
        sink.released.set()
        assert await wait_until(lambda: limited.limit >= 2 * START_WINDOW)


async def overstepping(page, sink):
    """An upload whose client is a chunk beyond its limit while the sink hangs, and the frame that
    waits."""
    ref = await page.register(10 * START_WINDOW)
    for index in range(WINDOW):
        await page.frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
    over = asyncio.create_task(page.frame(FrameType.CHUNK, ref, WINDOW, bytes(CHUNK)))
    await sink.reached.wait()
    assert not over.done()
    return ref, over


async def test_client_that_oversteps_waits_until_there_is_room():
    sink = HangingSink("write")
    async with Connection(sink=sink) as page:
        _ref, over = await overstepping(page, sink)
        sink.released.set()
        await over


async def test_client_that_oversteps_does_not_wait_for_a_dead_upload():
    sink = HangingSink("write")
    with override_settings(DJUST_UPLOADS={"SINK_TIMEOUT": 0.05}):
        async with Connection(sink=sink) as page:
            ref, over = await overstepping(page, sink)
            await over
            assert (await page.ended(ref))["code"] == "timeout"


async def test_client_that_oversteps_hears_of_the_end_once(monkeypatch):
    """However long it takes to tell it."""
    monkeypatch.setattr(client_side, "LIFE_SIGN_INTERVAL", 0.01)
    sink, heard = HangingSink("write"), asyncio.Event()
    with override_settings(DJUST_UPLOADS={"SINK_TIMEOUT": 0.05}):
        async with Connection(sink=sink) as page:
            ref, over = await overstepping(page, sink)

            async def send(message):
                page.sent.append(message)
                if message["status"] == "error":
                    await heard.wait()

            page.manager.connection._send = send
            async with asyncio.timeout(1):
                await over
            heard.set()
            assert (await page.ended(ref))["code"] == "timeout"


async def test_client_that_oversteps_for_long_fails(monkeypatch):
    monkeypatch.setattr(client_side, "OVERSTEPPING_TIMEOUT", 2 * client_side.LIFE_SIGN_INTERVAL)
    sink = HangingSink("write")
    async with Connection(sink=sink) as page:
        ref, over = await overstepping(page, sink)
        await over
        # What comes after it is read and dropped, although the sink still hangs.
        for index in range(WINDOW + 1, 5 * WINDOW):
            await page.frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
        assert budget.buffered == START_WINDOW + CHUNK
        sink.released.set()
        ending = await page.ended(ref)
        assert (ending["status"], ending["code"]) == ("error", "limit_exceeded")
        assert sink.done == ["open", "write", "abort"]


async def test_client_that_oversteps_and_is_gone_is_not_waited_for():
    """Nothing is read of it, so nothing is heard of its end; but it can't be told anything."""
    sink = HangingSink("write")
    async with Connection(sink=sink) as page:
        ref, over = await overstepping(page, sink)

        async def send(message):
            raise ConnectionError

        left = page.manager.roster.transfers[ref]
        page.manager.send = send
        await over
        sink.released.set()
        await left.wait_ended()
        assert page.entries() == []
        assert sink.done[-1] == "abort"


async def test_client_hears_when_it_is_its_turn():
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 4 * CHUNK}):
        async with Connection(sink=MemorySink()) as page:
            refs = [await page.register(len(DATA)) for _ in range(3)]
            assert [message["limit"] for message in page.sent] == [CHUNK, CHUNK, 0]
            await page.frame(FrameType.CHUNK, refs[0], 0, bytes(CHUNK))
            last = refs[2]
            assert await wait_until(
                lambda: any(m["ref"] == last and m["limit"] == CHUNK for m in page.sent)
            )


async def test_clients_that_do_not_use_their_turn_keep_nobody_waiting_for_long(monkeypatch):
    monkeypatch.setattr("djust_uploads.flow.budget.TURN_TIMEOUT", 0.05)
    monkeypatch.setattr(client_side, "TURN_TIMEOUT", 0.05)
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 4 * CHUNK}):
        async with Connection(sink=MemorySink()) as page:
            for _ in range(2):
                await page.register(len(DATA))
            ref = await page.register(len(DATA))
            assert page.sent[-1]["limit"] == 0
            assert await wait_until(lambda: page.sent[-1]["limit"] == CHUNK)
            assert page.sent[-1]["ref"] == ref


async def test_server_that_reads_ahead_is_not_kept_waiting():
    """It would buffer what we don't receive; so that is counted, and bounded by the budget."""
    sink = HangingSink("write")
    buffered = {"MAX_BUFFERED_BYTES": 2 * START_WINDOW}
    with override_settings(DJUST_UPLOADS=buffered):
        async with Connection(sink=sink, reads_ahead=True) as page:
            ref, modest = await page.register(10**8), await page.register(10**8)
            await page.frame(FrameType.CHUNK, modest, 0, bytes(CHUNK))
            for index in range(20 * WINDOW):
                await page.frame(FrameType.CHUNK, ref, index, bytes(CHUNK))
                assert budget.buffered <= buffered["MAX_BUFFERED_BYTES"] + CHUNK
            sink.released.set()
            assert (await page.ended(ref))["code"] == "limit_exceeded"
            # Who keeps to the limit doesn't pay for it.
            transfers = page.manager.roster.transfers
            assert await wait_until(lambda: transfers[modest].limit == 2 * CHUNK)
            await page.frame(FrameType.CHUNK, modest, 1, bytes(CHUNK))
            assert await wait_until(lambda: transfers[modest].entry.taken == 2 * CHUNK)


async def test_share_is_given_back():
    async with Connection(sink=RecordingSink(fail={"write": ValueError()})) as page:
        await asyncio.gather(*(page.upload(DATA) for _ in range(3)))
        ref = await page.register(10)
        await page.frame(FrameType.CANCEL, ref)
        await page.ended(ref)
    assert (budget.uploads, budget.wanted, budget.buffered) == (0, 0, 0)


async def test_progress_only_grows_and_the_last_word_is_complete():
    async with Connection(sink=RecordingSink()) as page:
        ending = await page.upload(bytes(5_000_000))
        for key in ("limit", "offset", "progress"):
            values = [message[key] for message in page.sent if key in message]
            assert values == sorted(values)
        assert (ending["progress"], ending["offset"]) == (100, 5_000_000)
        statuses = [m["status"] for m in page.sent if m["type"] == "upload_progress"]
        assert statuses[-2:] == ["finalizing", "complete"]


async def test_socket_that_is_gone_ends_the_upload(monkeypatch):
    # A client is told of each write, and the first message fails.
    monkeypatch.setattr(client_side, "PROGRESS_INTERVAL", 0)
    sink = RecordingSink()
    async with Connection(sink=sink) as page:
        ref = await page.register(len(DATA))

        async def send(message):
            raise ConnectionError

        transfer = page.manager.roster.transfers[ref]
        page.manager.send = send
        await page.chunks(ref, DATA)
        await transfer.wait_ended()
        assert page.entries() == []
        assert sink.calls[-1] == ("abort",)


# The end of the loop


async def test_task_that_is_cancelled_leaves_nothing(tmp_path):
    async with Connection(sink=TemporaryFileSink(tmp_path)) as page:
        ref = await page.register(5 * CHUNK)
        await page.chunks(ref, DATA)
        assert await wait_until(lambda: list(tmp_path.iterdir()))
        task = page.manager.roster.transfers[ref]._task
        task.cancel()
        await asyncio.wait([task])
        # The file may be one that a thread was about to create.
        assert await wait_until(lambda: not list(tmp_path.iterdir()))
        assert page.entries() == []


def test_every_error_that_a_sink_may_raise_is_documented():
    for error, code in ERRORS[:3]:
        assert code in exceptions.__doc__
        assert error.code == code


async def test_task_that_is_cancelled_in_on_complete_deletes_the_file(tmp_path):
    reached = asyncio.Event()

    async def on_complete(entry):
        reached.set()
        await asyncio.Event().wait()

    async with Connection(sink=TemporaryFileSink(tmp_path), on_complete=on_complete) as page:
        ref = await page.register(1)
        task = page.manager.roster.transfers[ref]._task
        await page.chunks(ref, b"x")
        await page.frame(FrameType.COMPLETE, ref)
        await reached.wait()
        assert len(list(tmp_path.iterdir())) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert page.entries() == []
        assert list(tmp_path.iterdir()) == []


async def test_task_that_is_cancelled_while_the_upload_ends():
    """The upload is undone all the same, and its end is reported once."""
    sink = HangingSink("abort")
    async with Connection(sink=sink) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA[:CHUNK])
        transfer = page.manager.roster.transfers[ref]
        assert await wait_until(lambda: transfer.entry.taken == CHUNK)
        await page.frame(FrameType.CANCEL, ref)
        await sink.reached.wait()
        sink.released.set()
        transfer._task.cancel()
        assert (await page.ended(ref))["status"] == "cancelled"
        assert sink.done[-1] == "abort"
        assert page.manager.roster.transfers == {}


async def test_nothing_is_consumed_before_on_complete_returned():
    """Its file would be gone while it reads it."""
    reached, go = asyncio.Event(), asyncio.Event()

    async def on_complete(entry):
        reached.set()
        await go.wait()

    async with Connection(sink="memory", on_complete=on_complete) as page:
        ref = await page.register(1)
        await page.chunks(ref, b"x")
        await page.frame(FrameType.COMPLETE, ref)
        await reached.wait()
        assert list(page.manager.consume("files")) == []
        go.set()
        await page.manager.roster.transfers[ref].wait_ended()
        assert [entry.ref for entry in page.manager.consume("files")] == [ref]


async def test_entry_cancelled_in_on_complete_is_deleted_and_not_aborted():
    """A writer that finished is not aborted too."""
    sink = RecordingSink()

    async def on_complete(entry):
        page.manager.cancel(entry.ref)
        await asyncio.sleep(0)

    async with Connection(sink=sink, on_complete=on_complete) as page:
        ref = await page.register(1)
        transfer = page.manager.roster.transfers[ref]
        await page.chunks(ref, b"x")
        await page.frame(FrameType.COMPLETE, ref)
        await transfer.wait_ended()
        assert page.entries() == []
        assert names(sink) == ["open", "write", "finish"]
        assert sink.files[0].read() == b""


# Replacing


async def test_place_of_a_cancelled_upload_is_free_at_once():
    """As when the user chooses another file while the first is on its way."""
    sink = HangingSink("abort")
    async with Connection(sink=sink, max_entries=1) as page:
        first = await page.register(len(DATA))
        await page.chunks(first, DATA[:20_000])
        assert await wait_until(lambda: "write" in sink.done)
        await page.frame(FrameType.CANCEL, first)
        second = await page.register(len(DATA))
        assert [entry.ref for entry in page.entries()] == [second]
        sink.released.set()


async def test_cancelling_does_not_make_more_places_than_twice_the_slots():
    sink = HangingSink("abort")
    async with Connection(sink=sink, max_entries=1) as page:
        for number in (1, 2):
            ref = await page.register(len(DATA))
            await page.chunks(ref, DATA[:20_000])
            assert await wait_until(lambda n=number: sink.done.count("write") == n)
            await page.frame(FrameType.CANCEL, ref)
        await page.register(len(DATA))
        assert page.sent[-1]["code"] == "too_many_files"
        sink.released.set()


async def test_ref_of_an_upload_that_is_still_ending_is_taken():
    sink = HangingSink("abort")
    async with Connection(sink=sink) as page:
        ref = await page.register(len(DATA))
        await page.chunks(ref, DATA[:20_000])
        assert await wait_until(lambda: "write" in sink.done)
        page.manager.cancel(ref)
        transfer = page.manager.roster.transfers[ref]
        message = {"upload_name": "files", "ref": ref, "client_name": "a", "client_size": 1}
        await page.manager.register(message, page.send)
        assert page.manager.roster.transfers[ref] is transfer
        sink.released.set()
        await transfer.wait_ended()
        assert page.manager.roster.transfers == {}


async def test_files_stay_until_a_handler_that_outlives_its_connection_returns(tmp_path):
    page = Connection(sink=TemporaryFileSink(tmp_path))
    refs = [await page.register(1) for _ in range(2)]
    for ref in refs:
        await page.chunks(ref, b"x")
        await page.frame(FrameType.COMPLETE, ref)
        await page.manager.roster.transfers[ref].wait_ended()
    with page.manager.turn():
        read = []
        for entry in page.manager.consume("files"):
            await page.manager.aclose()
            read.append(entry.data)
    assert read == [b"x", b"x"]
    assert await wait_until(lambda: list(tmp_path.iterdir()) == [])


# Idling


@pytest.mark.parametrize("sent", [0, 10, 20_000, len(DATA)], ids=["nothing", "some", "more", "all"])
async def test_upload_that_stands_still_expires(tmp_path, sent):
    """Also one whose client never says that it sent all."""
    with override_settings(DJUST_UPLOADS={"IDLE_TIMEOUT": 0.1}):
        async with Connection(sink=TemporaryFileSink(tmp_path)) as page:
            ref = await page.register(len(DATA))
            if sent:
                await page.chunks(ref, DATA[:sent])
            ending = await page.ended(ref)
            assert (ending["status"], ending["code"]) == ("error", "expired")
            assert list(tmp_path.iterdir()) == []
