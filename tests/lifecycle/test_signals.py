"""The signals and the log lines of whole uploads."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from djust_uploads import TemporaryFileSink, signals
from djust_uploads.exceptions import SinkFull
from djust_uploads.lifecycle.logs import log_fields
from djust_uploads.resuming.parking import Parking
from djust_uploads.testing import RecordingSink
from djust_uploads.transfer import client_side
from djust_uploads.uploads import process
from djust_uploads.wire import FrameType
from tests.support.connection import Connection
from tests.support.interrupted import ALICE, CHUNK, DATA, connect, send_some
from tests.support.servers import wait_until

NAMES = [name for name in vars(signals) if name.startswith("upload_")]


@pytest.fixture
def heard():
    """What receivers of all signals hear. Each one is async, and takes a while at first."""
    heard: list[tuple] = []
    receivers = {}

    def receiver(name):
        async def receive(sender, entry, slot, **details):
            # A signal that were not waited for would overtake the one before.
            await asyncio.sleep(0.02 if name == "started" else 0)
            details = {key: str(value) for key, value in details.items() if key != "signal"}
            heard.append((name, slot, *details))

        return receive

    for name in NAMES:
        receivers[name] = receiver(name.removeprefix("upload_"))
        getattr(signals, name).connect(receivers[name])
    yield heard
    for name in NAMES:
        getattr(signals, name).disconnect(receivers[name])


@pytest.fixture(autouse=True)
def parking(monkeypatch):
    monkeypatch.setattr(process, "parking", Parking())


def consume(page):
    with page.manager.turn():
        return [entry.client_name for entry in page.manager.consume("files")]


async def told(heard, count):
    assert await wait_until(lambda: len(heard) >= count), heard
    return heard


async def test_an_upload_that_is_consumed(heard, caplog):
    caplog.set_level(logging.INFO, "djust_uploads")
    async with Connection() as page:
        await page.upload(bytes(1000))
        consume(page)
        names = ["started", "finalizing", "completed", "consumed"]
        assert await told(heard, 4) == [(name, "files") for name in names]
    lines = [record for record in caplog.records if hasattr(record, "upload_event")]
    assert [line.upload_event for line in lines] == ["completed", "consumed"]
    line = lines[0]
    assert (line.upload_slot, line.upload_sink, line.upload_bytes) == ("files", "default", 1000)
    assert (line.upload_size, line.upload_code) == (1000, "")
    assert 0 < line.upload_seconds < 10


async def test_an_upload_that_is_interrupted_and_dropped(heard):
    async with connect(RecordingSink()) as page:
        ref = await send_some(page)
    async with connect(RecordingSink()) as page:
        await page.go_on(await page.resume(ref), DATA)
    # The complete upload waits in the parking, of which no signal tells.
    async with connect(RecordingSink()) as page:
        await page.resume(ref)
        page.manager.cancel(ref)
        await told(heard, 6)
    names = ["started", "parked", "resumed", "finalizing", "completed"]
    assert heard == [*((name, "files") for name in names), ("cancelled", "files", "reason")]


async def test_failures_refusals_and_cancels(heard, caplog):
    async with Connection(sink=RecordingSink(fail={"write": SinkFull("disk 7")})) as page:
        await page.upload(bytes(1000))
        await told(heard, 2)
        assert heard == [("started", "files"), ("failed", "files", "error")]
        [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert (record.upload_event, record.upload_code) == ("failed", "storage_full")
        assert record.upload_sink == "djust_uploads.testing.recording.RecordingSink"
        heard.clear()
        await page.register(10**10)
        assert await told(heard, 1) == [("failed", "files", "error")]
        [record] = [one for one in caplog.records if "refused" in one.getMessage()]
        assert (record.upload_event, record.upload_code) == ("refused", "file_too_large")
    heard.clear()
    async with Connection() as page:
        ref = await page.register(1000)
        await page.frame(FrameType.CANCEL, ref)
        await told(heard, 2)
        assert heard == [("started", "files"), ("cancelled", "files", "reason")]
        heard.clear()
        # The connection ends, and nobody has consumed the file.
        await page.upload(bytes(1000))
    assert (await told(heard, 4))[-2:] == [
        ("completed", "files"),
        ("cancelled", "files", "reason"),
    ]


async def test_an_upload_that_goes_on_in_another_process(heard, tmp_path, monkeypatch):
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.05)
    sink = TemporaryFileSink(tmp_path)
    async with connect(sink) as page:
        ref = await send_some(page)
    await told(heard, 3)
    monkeypatch.setattr(process, "parking", Parking())
    async with connect(sink) as page:
        await page.go_on(await page.resume(ref), DATA)
        consume(page)
        await told(heard, 7)
    names = ["started", "parked", "suspended", "resumed", "finalizing", "completed", "consumed"]
    assert [name for name, *_ in heard] == names


class SlowlyResuming(TemporaryFileSink):
    hangs = True

    async def resume(self, upload, checkpoint):
        if self.hangs:
            self.reached.set()
            await asyncio.Event().wait()
        return await super().resume(upload, checkpoint)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_server_that_stops_while_an_upload_is_resumed(heard, tmp_path, monkeypatch, begun):
    """The upload is not cancelled: it is saved as it was, for the next process."""
    monkeypatch.setattr(client_side, "PARKED_SECONDS", 0.05)
    async with connect(sink := SlowlyResuming(tmp_path)) as page:
        ref = await send_some(page)
    await told(heard, 3)
    async with connect(sink) as page:
        sink.reached = asyncio.Event()
        await page.manager.resume({"ref": ref}, page.send)
        if begun:
            await sink.reached.wait()
        [transfer] = page.manager.roster.transfers.values()
        transfer._task.cancel()
        await transfer.wait_ended()
    sink.hangs = False
    async with connect(sink) as page:
        assert (await page.resume(ref))["bytes_received"] == 10 * CHUNK
        await told(heard, 5)
    names = ["started", "parked", "suspended", "suspended", "resumed"]
    assert [name for name, *_ in heard][:5] == names


async def test_mistakes_of_receivers_are_logged(caplog):
    def receive(**kwargs):
        raise RuntimeError("a mistake")

    signals.upload_started.connect(receive)
    try:
        async with Connection() as page:
            assert (await page.upload(bytes(1000)))["status"] == "complete"
    finally:
        signals.upload_started.disconnect(receive)
    assert "a mistake" in caplog.text


async def test_a_slow_receiver_does_not_delay_the_upload():
    released = asyncio.Event()

    async def receive(**kwargs):
        await released.wait()

    signals.upload_started.connect(receive)
    try:
        async with Connection(chunk_size=CHUNK) as page:
            ref = await page.register(len(DATA))
            await page.chunks(ref, DATA)
            [entry] = page.entries()
            assert await wait_until(lambda: entry.taken == len(DATA))
            released.set()
    finally:
        signals.upload_started.disconnect(receive)


async def test_fields_are_json():
    async with Connection(owner=ALICE) as page:
        await page.upload(bytes(10))
        [entry] = page.entries()
        fields = json.loads(json.dumps(log_fields(entry, "completed")))
        assert fields["upload_id"] == entry.ref
