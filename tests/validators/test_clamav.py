"""ClamAVValidator, before a real clamd."""

from __future__ import annotations

import asyncio
import logging

import pytest

from djust_uploads import MemorySink, TemporaryFileSink
from djust_uploads.resuming.parking import Parking
from djust_uploads.testing import RecordingSink
from djust_uploads.uploads import process
from djust_uploads.validators import ClamAVValidator
from djust_uploads.wire import FrameType
from tests.support.clamd import EICAR, STREAM_MAX, clamd
from tests.support.connection import Connection
from tests.support.servers import wait_until

CHUNK = 1000


def connection(clamd, *, sink=None, **options):
    validator = ClamAVValidator(clamd.path, **{"max_size": STREAM_MAX, **options})
    return Connection(
        sink=sink or RecordingSink(), chunk_size=CHUNK, validators=[validator], max_file_size=10**9
    )


def names(sink):
    return [call[0] for call in sink.calls]


async def test_clean_file(running_clamd):
    async with connection(running_clamd, sink=MemorySink()) as page:
        data = b"nothing to see here\n" * 500
        assert (await page.upload(data, "notes.txt"))["status"] == "complete"
        [entry] = page.entries()
        assert entry.findings == {"clamav": "clean"}
        assert entry.data == data


@pytest.mark.parametrize(
    "before", [0, CHUNK - 20, 20 * CHUNK], ids=["one chunk", "two chunks", "late"]
)
async def test_eicar_is_refused_and_nothing_is_left(running_clamd, before):
    sink = RecordingSink()
    async with connection(running_clamd, sink=sink) as page:
        ending = await page.upload(b"\n" * before + EICAR, "notes.txt")
        assert (ending["status"], ending["code"]) == ("error", "infected")
        assert "finish" not in names(sink)
        assert names(sink)[-1] == "abort"


async def test_eicar_over_three_chunks(running_clamd):
    sink = RecordingSink()
    async with connection(running_clamd, sink=sink) as page:
        third = len(EICAR) // 3
        page.slot.__dict__["chunk_size"] = third + 1
        assert (await page.upload(EICAR, "notes.txt"))["code"] == "infected"
        assert names(sink).count("write") == 3


async def test_file_over_the_limit_is_never_clean(running_clamd):
    data = b"x\n" * STREAM_MAX
    async with connection(running_clamd) as page:
        assert (await page.upload(data, "big.txt"))["code"] == "not_scanned"
    async with connection(running_clamd, when_too_large="accept") as page:
        assert (await page.upload(data, "big.txt"))["status"] == "complete"
        assert page.entries()[0].findings == {"clamav": "not scanned"}


@pytest.mark.parametrize("policy", ["refuse", "accept"])
async def test_clamd_takes_less_than_we_believe(running_clamd, policy):
    data = b"x\n" * STREAM_MAX
    # clamd resets the connection, so its answer may get lost: then it counts as unavailable.
    policies = {"when_too_large": policy, "when_unavailable": policy}
    async with connection(running_clamd, max_size=10**9, **policies) as page:
        ending = await page.upload(data, "big.txt")
        if policy == "refuse":
            assert ending["code"] == "not_scanned"
        else:
            assert page.entries()[0].findings == {"clamav": "not scanned"}


async def test_clamd_is_down(tmp_path, caplog):
    class Down:
        path = str(tmp_path / "nobody.sock")

    sink = RecordingSink()
    async with connection(Down, sink=sink) as page:
        ending = await page.upload(b"hello\n", "notes.txt")
        assert ending["code"] == "not_scanned"
        assert "sock" not in ending["error"]
        assert sink.calls == []
    with caplog.at_level(logging.ERROR):
        async with connection(Down, when_unavailable="accept") as page:
            assert (await page.upload(b"hello\n", "notes.txt"))["status"] == "complete"
            assert page.entries()[0].findings == {"clamav": "not scanned"}
    assert "was not scanned" in caplog.text


async def test_clamd_dies_in_the_middle(tmp_path):
    with clamd(tmp_path) as dying:
        async with connection(dying) as page:
            ref = await page.register(20 * CHUNK, "notes.txt")
            await page.chunks(ref, b"\n" * 10 * CHUNK)
            await asyncio.to_thread(dying.kill)
            for index in range(10, 20):
                await page.frame(FrameType.CHUNK, ref, index, b"\n" * CHUNK)
            await page.frame(FrameType.COMPLETE, ref)
            assert (await page.ended(ref))["code"] == "not_scanned"


@pytest.mark.parametrize(("end", "code"), [(b"fine", None), (EICAR, "infected")])
async def test_upload_that_goes_on_in_another_process(
    running_clamd, tmp_path, monkeypatch, end, code
):
    data = b"\n" * 30 * CHUNK + end
    options = {
        "sink": TemporaryFileSink(tmp_path),
        "chunk_size": CHUNK,
        "validators": [ClamAVValidator(running_clamd.path, max_size=STREAM_MAX)],
        "resumable": True,
        "owner": "user:1",
    }
    monkeypatch.setattr(process, "parking", Parking())
    async with Connection(**options) as page:
        ref = await page.register(len(data), "notes.txt")
        await page.chunks(ref, data[: 20 * CHUNK])
        [entry] = page.entries()
        assert await wait_until(lambda: entry.taken == 20 * CHUNK)
    monkeypatch.setattr(process, "parking", Parking())
    async with Connection(**options) as page:
        ending = await page.go_on(await page.resume(ref), data)
        assert ending.get("code") == code
        [entry] = page.entries()
        assert entry.findings == ({} if code else {"clamav": "clean"})
        assert len(list(tmp_path.iterdir())) == (0 if code else 1)


async def test_cancelled_upload_leaves_no_connection(running_clamd):
    async with connection(running_clamd) as page:
        ref = await page.register(20 * CHUNK, "notes.txt")
        await page.chunks(ref, b"\n" * 17 * CHUNK)
        await asyncio.sleep(0.1)
        page.manager.cancel(ref)
        assert (await page.ended(ref))["status"] == "cancelled"
    # A connection that is left open would warn when it is collected, and warnings are errors here.


def test_unknown_policy():
    with pytest.raises(ValueError, match="when_unavailable must be 'refuse' or 'accept'"):
        ClamAVValidator(when_unavailable="maybe")
