"""GCSSink, and a store that misbehaves or is asked again."""

from __future__ import annotations

import asyncio
import os

import pytest

from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkUnavailable
from djust_uploads.sinks.gcs import bucket as gcs
from djust_uploads.sinks.gcs.writer import SessionLost
from tests.support.buckets import SMALL, info, upload, write
from tests.support.gcs_stores import (
    CORRUPT,
    DAMAGED,
    DROPPED,
    LOST,
    NOTHING,
    PARTIAL,
)
from tests.support.gcs_uploads import PART, sink_for
from tests.support.servers import wait_until

# Ends


@pytest.mark.parametrize("written", [0, 10, PART, 2 * PART + 1, 3 * PART])
async def test_abort_cancels_the_session_and_leaves_nothing(broken, written):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await write(writer, os.urandom(written))
        await writer.abort()
        await writer.abort()
        assert broken.keys() == broken.live_sessions() == []
        assert broken.count("cancel") == len(broken.sessions)


@pytest.mark.parametrize("size", [0, SMALL, 2 * PART + 1])
async def test_abort_after_finish_deletes_the_object(broken, size):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, bytes(size))
        await writer.finish()
        await writer.abort()
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_write_waits_while_a_part_is_on_its_way_and_one_is_gathered(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        broken.gate.clear()
        await writer.write(bytes(PART))
        await writer.write(bytes(PART - 1))
        assert await wait_until(lambda: broken.count("put") == 1)
        waiting = asyncio.create_task(writer.write(bytes(1)))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        assert writer.offset == 0 and broken.count("put") == 1
        broken.gate.set()
        await waiting
        assert writer.offset == PART
        await writer.abort()
    assert broken.live_sessions() == []


async def test_an_abort_after_a_cancelled_finish_waits_for_what_is_on_its_way(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(bytes(SMALL))
        broken.gate.clear()
        finishing = asyncio.create_task(writer.finish())
        assert await wait_until(lambda: broken.count("put") == 1)
        finishing.cancel()
        await asyncio.wait([finishing])
        aborting = asyncio.create_task(writer.abort())
        done, _ = await asyncio.wait([aborting], timeout=0.1)
        assert not done and broken.count("cancel") == 0
        broken.gate.set()
        await aborting
    assert broken.keys() == broken.live_sessions() == []


async def test_a_finish_after_a_cancelled_one_stores_one_object(broken):
    data = os.urandom(PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        await writer._landed()
        broken.gate.clear()
        finishing = asyncio.create_task(writer.finish())
        assert await wait_until(lambda: broken.count("put") == 2)
        finishing.cancel()
        await asyncio.wait([finishing])
        broken.gate.set()
        file = await writer.finish()
        assert await writer.finish() is file
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


# A store that misbehaves


@pytest.mark.parametrize(
    "faults",
    [
        [503],
        [429],
        [LOST],
        [DROPPED],
        [429, LOST],
        [DROPPED, 503, LOST],
        [NOTHING],
        [404],
        [410],
    ],
)
@pytest.mark.parametrize("size", [0, SMALL, PART])
async def test_however_the_end_is_answered_there_is_one_right_object(broken, size, faults):
    broken.faults["put"] = list(faults)
    data = os.urandom(size)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


@pytest.mark.parametrize("answer", [404, 410, 503, LOST])
async def test_a_lost_answer_to_the_end_and_a_session_that_is_gone_then(broken, answer):
    """Whatever the session says: the object is there, and ours."""
    broken.faults = {"put": [LOST], "query": [answer]}
    data = os.urandom(SMALL)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.count("begin") == 1
    assert broken.keys() == [file.key] and broken.read(file.key) == data


@pytest.mark.parametrize("fault", [503, LOST, DROPPED])
@pytest.mark.parametrize("size", [SMALL, 2 * PART + 3])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"])
async def test_finish_may_be_called_again(broken, monkeypatch, fault, size, upload_to):
    monkeypatch.setattr(gcs, "ATTEMPTS", 1)
    data = os.urandom(size)
    async with sink_for(broken, upload_to=upload_to) as sink:
        writer = await sink.open(info(size))
        await write(writer, data)
        await writer._landed()
        broken.faults["put"] = [fault]
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


@pytest.mark.parametrize("fault", [503, 403, LOST])
@pytest.mark.parametrize("size", [SMALL, PART + 3])
async def test_abort_after_an_end_that_nobody_knows_leaves_nothing(
    broken, monkeypatch, size, fault
):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        await writer._landed()
        monkeypatch.setattr(gcs, "ATTEMPTS", 1)
        broken.faults["put"] = [fault]
        with pytest.raises(SinkError):
            await writer.finish()
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_throttling_and_dropped_connections_are_tried_again(broken):
    broken.faults = {
        "begin": [429],
        "put": [429, DROPPED, LOST, 503, 408],
        "patch": [503],
        "delete": [LOST],
    }
    data = os.urandom(3 * PART + 3)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        assert broken.read(file.key) == data
        await file.akeep()
        await file.adelete()
    assert broken.keys() == []


async def test_it_is_not_tried_for_ever(broken):
    broken.faults["put"] = [NOTHING] * 100
    async with sink_for(broken) as sink:
        writer = await sink.open(info(PART))
        await writer.write(bytes(PART))
        with pytest.raises(SinkUnavailable, match="keeps nothing"):
            await writer.finish()
        assert broken.count("put") + broken.count("query") <= 2 * gcs.ATTEMPTS
        broken.faults.clear()
        await writer.abort()
    assert broken.live_sessions() == []


async def test_nor_are_sessions_begun_for_ever(broken):
    """Each takes some bytes, and is gone then."""
    broken.faults["put"] = [PARTIAL, 404] * 20
    async with sink_for(broken, chunk_size=3 * PART) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(3 * PART))
        await writer._landed()
        with pytest.raises(SinkUnavailable, match="404"):
            await writer.write(bytes(PART))
        assert broken.count("begin") <= gcs.ATTEMPTS + 1
        await writer.abort()


async def test_less_stored_than_sent_is_sent_from_there(broken):
    """The 308's Range is an offset behind what was sent."""
    broken.faults["put"] = [PARTIAL, PARTIAL, NOTHING, PARTIAL]
    data = os.urandom(8 * PART + 5)
    async with sink_for(broken, chunk_size=3 * PART) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[: 4 * PART])
        assert await wait_until(lambda: writer.offset == 3 * PART)
        await write(writer, data[4 * PART :])
        file = await writer.finish()
    ranges = [headers["Content-Range"] for headers in broken.headers if "Content-Range" in headers]
    assert ranges[:2] == [f"bytes {at}-{3 * PART - 1}/{len(data)}" for at in (0, 2 * PART)]
    assert broken.read(file.key) == data


async def test_offset_is_what_the_store_confirmed(broken):
    broken.faults["put"] = [PARTIAL, *[503] * 20]
    async with sink_for(broken, chunk_size=3 * PART) as sink:
        writer = await sink.open(info(8 * PART))
        await writer.write(bytes(3 * PART))
        await writer._landed()
        assert writer.offset == 2 * PART
        checkpoint = await writer.checkpoint()
        assert checkpoint["offset"] == 2 * PART
        with pytest.raises(SinkUnavailable):
            await writer.write(b"x")
        broken.faults.clear()
        await writer.abort()


@pytest.mark.parametrize("status", [404, 410])
async def test_a_session_that_is_gone_begins_again_while_all_bytes_are_here(broken, status):
    broken.faults["put"] = [status]
    data = os.urandom(2 * PART + 5)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.count("begin") == 2
    assert broken.read(file.key) == data


@pytest.mark.parametrize("status", [404, 410, 499])
async def test_a_session_that_is_gone_later_is_a_clean_error(broken, status):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(PART))
        await writer._landed()
        broken.faults["put"] = [status]
        with pytest.raises(SessionLost, match="its session is gone"):
            await writer.write(bytes(3 * PART))
            await writer.finish()
        assert writer.offset == PART
        await writer.abort()
    assert broken.keys() == []


async def test_a_store_that_lost_what_it_confirmed_is_a_clean_error(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(2 * PART))
        await writer._landed()
        (session,) = broken.sessions.values()
        del session.body[PART:]
        broken.faults["put"] = [503]
        with pytest.raises(SessionLost, match=f"has {PART} bytes, and had {2 * PART}"):
            await writer.write(bytes(PART))
            await writer._landed()
            await writer.write(bytes(PART))
        assert writer.offset == 2 * PART
        await writer.abort()


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
@pytest.mark.parametrize("fault", [CORRUPT, DAMAGED])
async def test_an_object_with_another_checksum_does_not_stay(broken, size, fault):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        await writer._landed()
        broken.faults["put"] = [fault]
        with pytest.raises(SinkError, match="CRC32C"):
            await writer.finish()
        await writer.abort()
        assert broken.keys() == []


@pytest.mark.parametrize("size", [SMALL, PART + 1])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_an_object_of_others_is_never_overwritten(broken, size, when):
    async with sink_for(broken, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        if when == "before":
            broken.put("fixed", b"theirs")
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await write(writer, bytes(size))
            if when == "meanwhile" and size == SMALL:
                await writer._begin()
            await writer._landed()
            if when == "meanwhile":
                broken.put("fixed", b"theirs")
            await writer.finish()
        await writer.abort()
    assert broken.read("fixed") == b"theirs"
    assert broken.live_sessions() == []
