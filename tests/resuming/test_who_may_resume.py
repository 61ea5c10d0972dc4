"""Which connections may go on with an upload."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from djust_uploads import MemorySink, UploadSlot, Validator
from djust_uploads.resuming.leases import Lease
from djust_uploads.transfer import sink_side
from djust_uploads.wire import FrameType
from tests.support.connection import Connection
from tests.support.interrupted import (
    ALICE,
    CHUNK,
    DATA,
    connect,
    files,
    send_some,
    settled,
)


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
            known = {"name": "files", "sink": sink, "resumable": True, "max_file_size": 10**9}
            page.manager.configure(UploadSlot(**{**known, **options}))
            answer = await page.resume(ref)
            assert answer.get("status") in ("not_found", "error")
            assert answer.get("code") in (None, "file_too_large", "type_not_accepted")


class NoDrafts(Validator):
    def __init__(self, word="draft"):
        self.word = word


@pytest.mark.parametrize("complete", [False, True])
async def test_slot_of_the_same_name_must_have_judged_it_by_the_same_rules(
    sink, parking, other_process, complete
):
    """Another view may have a slot of the same name, which takes what this one does not."""
    async with connect(sink, validators=(NoDrafts("sketch"),)) as page:
        ref = await send_some(page)
        if complete:
            rest = {"ref": ref, "chunk_size": CHUNK, "bytes_received": 10 * CHUNK}
            assert (await page.go_on(rest, DATA))["status"] == "complete"
    if not complete:
        await settled(parking)
    for move in (lambda: None, other_process):
        move()
        for validators in [(), (NoDrafts(),)]:
            async with connect(sink, validators=validators) as page:
                assert (await page.resume(ref))["status"] == "not_found"
    async with connect(sink, validators=(NoDrafts("sketch"),)) as page:
        assert (await page.resume(ref))["status"] == "resumed"


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

    async def retried(sink, operation, call):
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
