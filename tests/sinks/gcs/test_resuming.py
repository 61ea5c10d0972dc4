"""GCSSink goes on from a checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import pytest

from djust_uploads.exceptions import NotResumable, SinkError, SinkUnavailable
from djust_uploads.sinks.gcs import bucket as gcs
from djust_uploads.sinks.gcs.api import GRANULE, _stored
from djust_uploads.sinks.gcs.writer import SessionLost
from tests.support.buckets import SMALL, info, upload, write
from tests.support.gcs_stores import LOST, PARTIAL
from tests.support.gcs_uploads import PART, sink_for
from tests.support.servers import wait_until


def through_a_cache(checkpoint):
    return json.loads(json.dumps(checkpoint))


async def test_another_sink_goes_on_from_the_checkpoint(store):
    data = os.urandom(4 * PART + 7)
    async with sink_for(store) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data[: 2 * PART + 100])
        await writer._landed()
        checkpoint = through_a_cache(await writer.checkpoint())
        assert writer.offset == checkpoint["offset"] == 2 * PART
    async with sink_for(store, chunk_size=3 * PART) as other:
        resumed = await other.resume(info(len(data)), checkpoint)
        assert resumed.offset == 2 * PART
        await write(resumed, data[2 * PART :])
        file = await resumed.finish()
    assert store.keys() == [file.key] == [writer.key]
    assert store.read(file.key) == data


async def test_a_session_without_bytes_is_resumed_at_0(store):
    """Of which the emulator says that it has one byte."""
    data = os.urandom(PART + 7)
    async with sink_for(store) as sink:
        writer = await sink.open(info(len(data)))
        await writer._begin()
        checkpoint = through_a_cache(await writer.checkpoint())
        assert checkpoint["session"]
        resumed = await sink.resume(info(len(data)), checkpoint)
        assert resumed.offset == 0
        await write(resumed, data)
        file = await resumed.finish()
    assert store.read(file.key) == data


@pytest.mark.parametrize(
    ("header", "stored"),
    [
        ("", 0),
        ("bytes=0-0", 0),
        (f"bytes=0-{PART - 1}", PART),
        (f"bytes=0-{PART}", PART),
        (f"bytes=0-{3 * PART - 1}", 3 * PART),
        ("bytes=5-9", 0),
        ("nonsense", 0),
    ],
)
def test_the_range_of_a_308_counts_in_granules(header, stored):
    assert _stored(header) == stored


async def test_what_the_store_has_beyond_the_checkpoint_is_not_sent_again(broken):
    data = os.urandom(5 * PART + 7)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await writer._landed()
        checkpoint = through_a_cache(await writer.checkpoint())
        await writer.write(data[PART : 3 * PART])
        await writer._landed()
        assert broken.count("put") == 3
        resumed = await sink.resume(info(len(data)), checkpoint)
        assert resumed.offset == PART
        await resumed.write(data[PART:])
        file = await resumed.finish()
    assert broken.count("put") == 6
    assert broken.read(file.key) == data


async def test_less_than_the_checkpoint_is_not_resumed(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(2 * PART))
        await writer._landed()
        checkpoint = await writer.checkpoint()
        (session,) = broken.sessions.values()
        del session.body[PART:]
        with pytest.raises(NotResumable, match=f"{PART} of {2 * PART} bytes"):
            await sink.resume(info(4 * PART), checkpoint)
        await writer.abort()


# Flush and release


@pytest.mark.parametrize(
    ("size", "written", "sent"),
    [
        (SMALL, SMALL, 0),
        (GRANULE, GRANULE, 0),
        (GRANULE + 1, GRANULE + 1, GRANULE),
        (10 * GRANULE, GRANULE - 1, 0),
        (10 * GRANULE, GRANULE, GRANULE),
        (10 * GRANULE, 3 * GRANULE + 7, 3 * GRANULE),
        (10 * GRANULE, 6 * GRANULE - 1, 5 * GRANULE),
        (10 * GRANULE, 10 * GRANULE, 9 * GRANULE),
        (8 * GRANULE, 8 * GRANULE, 7 * GRANULE),
    ],
)
async def test_flush_sends_whole_granules_but_not_the_end(store, size, written, sent):
    data = os.urandom(size)
    async with sink_for(store, chunk_size=4 * GRANULE) as sink:
        writer = await sink.open(info(size))
        await write(writer, data[:written])
        await writer.flush()
        await writer.flush()
        checkpoint = through_a_cache(await writer.checkpoint())
        assert writer.offset == checkpoint["offset"] == sent
        resumed = await sink.resume(info(size), checkpoint)
        assert resumed.offset == sent
        # It may also go on here.
        await write(writer, data[written:])
        file = await writer.finish()
    assert store.keys() == [file.key] and store.read(file.key) == data


async def test_flush_sends_each_byte_once(broken):
    data = os.urandom(9 * GRANULE)
    async with sink_for(broken, chunk_size=4 * GRANULE) as sink:
        writer = await sink.open(info(len(data)))
        for start in range(0, len(data), GRANULE):
            await writer.write(data[start : start + GRANULE])
            await writer.flush()
        file = await writer.finish()
    assert broken.count("put") == 9 and broken.count("query") == 0
    assert broken.read(file.key) == data


async def test_flush_goes_on_after_a_fault(broken):
    data = os.urandom(6 * GRANULE)
    async with sink_for(broken, chunk_size=4 * GRANULE) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[: 3 * GRANULE])
        broken.faults["put"] = [LOST, PARTIAL, 503]
        await writer.flush()
        assert writer.offset == 3 * GRANULE
        broken.faults["put"] = [503] * gcs.ATTEMPTS
        await writer.write(data[3 * GRANULE : -1])
        # That it failed is for the next write() to tell.
        await writer.flush()
        assert writer.offset == 3 * GRANULE and not broken.faults["put"]
        with pytest.raises(SinkUnavailable):
            await writer.write(data[-1:])
        resumed = await sink.resume(info(len(data)), await writer.checkpoint())
        await resumed.write(data[3 * GRANULE :])
        file = await resumed.finish()
    assert broken.read(file.key) == data


async def test_release_touches_nothing_in_the_store(broken):
    data = os.urandom(4 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await writer.flush()
        checkpoint = through_a_cache(await writer.checkpoint())
        broken.gate.clear()
        await writer.write(data[PART : 2 * PART + 1])
        assert await wait_until(lambda: broken.count("put") == 2)
        before = list(broken.requests)
        await writer.release()
        await writer.release()
        assert broken.requests == before and broken.live_sessions() == [writer.key]
        assert not (writer._task or writer._unsent or writer._gatherer.part.chunks)
        broken.gate.set()
        resumed = await sink.resume(info(len(data)), checkpoint)
        await resumed.write(data[resumed.offset :])
        file = await resumed.finish()
    assert broken.read(file.key) == data


# What was finished


@pytest.mark.parametrize("status", [200, 404, 410])
@pytest.mark.parametrize("size", [0, SMALL, 2 * PART + 1])
@pytest.mark.parametrize("when", ["opened", "written", "finished"])
async def test_a_finished_upload_comes_back(broken, size, status, when):
    data = os.urandom(size)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        checkpoints = {"opened": through_a_cache(await writer.checkpoint())}
        await writer.write(data)
        await writer.flush()
        checkpoints["written"] = through_a_cache(await writer.checkpoint())
        first = await writer.finish()
        checkpoints["finished"] = through_a_cache(await writer.checkpoint())
        assert checkpoints["finished"]["offset"] == size
    async with sink_for(broken) as sink:
        if status != 200:
            broken.faults["query"] = [status] * 10
        resumed = await sink.resume(info(size), checkpoints[when])
        assert resumed.offset == size
        before = len(broken.requests)
        file = await resumed.finish()
        assert len(broken.requests) == before and file.metadata == first.metadata
        assert broken.keys() == [file.key] and broken.read(file.key) == data
        again = await sink.resume(info(size), through_a_cache(await resumed.checkpoint()))
        assert (await again.finish()).metadata == first.metadata
        await again.abort()
        assert broken.keys() == []


async def test_a_finished_upload_comes_back_from_the_emulator(gcs_emulator):
    gcs_emulator.empty()
    data = os.urandom(2 * PART + 1)
    async with sink_for(gcs_emulator) as sink:
        first = await upload(sink, data)
        writer = await sink.open(info(len(data)))
        await write(writer, data)
        await writer.flush()
        before = await writer.checkpoint()
        file = await writer.finish()
        for checkpoint in (before, await writer.checkpoint()):
            resumed = await sink.resume(info(len(data)), through_a_cache(checkpoint))
            assert resumed.offset == len(data)
            assert (await resumed.finish()).metadata == file.metadata
        await resumed.abort()
    assert gcs_emulator.keys() == [first.key]


async def test_what_was_finished_and_is_gone_is_not_resumed(broken):
    """Though its session still tells of the object."""
    async with sink_for(broken) as sink:
        writer = await sink.open(info(2 * PART))
        await writer.write(bytes(2 * PART))
        await writer.flush()
        before = await writer.checkpoint()
        file = await writer.finish()
        after = await writer.checkpoint()
        for gone in (file.adelete, lambda: asyncio.to_thread(broken.put, file.key, b"theirs")):
            await gone()
            for checkpoint in (before, after):
                with pytest.raises(NotResumable, match="there is no object"):
                    await sink.resume(info(2 * PART), checkpoint)
    assert broken.read(file.key) == b"theirs"


async def test_the_object_is_compared_with_what_is_known_of_it(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(bytes(SMALL))
        await writer.finish()
        checkpoint = await writer.checkpoint()
        checkpoint["crc32c"] ^= 1
        resumed = await sink.resume(info(SMALL), checkpoint)
        with pytest.raises(SinkError, match="instead of"):
            await resumed.finish()
        await resumed.abort()
    assert broken.keys() == []


# What is late


@pytest.mark.parametrize("end", ["finish", "abort"])
async def test_what_comes_after_the_end_changes_nothing(broken, end):
    data = os.urandom(4 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await writer.flush()
        resumed = await sink.resume(info(len(data)), await writer.checkpoint())
        await resumed.write(data[PART:])
        await getattr(resumed, end)()
        await writer.write(os.urandom(PART))
        await writer._landed()
        if end == "finish":
            assert broken.keys() == [writer.key] and broken.read(writer.key) == data
        else:
            assert isinstance(writer._error, SessionLost)
            assert broken.keys() == []
    assert broken.live_sessions() == []


@pytest.mark.parametrize("same", [True, False])
async def test_what_comes_in_between_is_the_file_or_an_error(broken, same):
    data = os.urandom(4 * PART)
    late = data[PART : 3 * PART] if same else os.urandom(2 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await writer.flush()
        resumed = await sink.resume(info(len(data)), await writer.checkpoint())
        # The one that is late is faster.
        await writer.write(late)
        await writer.flush()
        await resumed.write(data[PART:])
        if same:
            file = await resumed.finish()
            assert broken.read(file.key) == data
        else:
            with pytest.raises(SinkError, match="CRC32C"):
                await resumed.finish()
            await resumed.abort()
            assert broken.keys() == []


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("checkpointed", ["before the session", "with it"])
async def test_two_ends_leave_one_object_or_none(broken, same, checkpointed):
    data = os.urandom(2 * PART + 1)
    late = data if same else data[:PART] + os.urandom(PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        checkpoint = await writer.checkpoint()
        await writer.write(late[:PART])
        await writer.flush()
        if checkpointed == "with it":
            checkpoint = await writer.checkpoint()
        resumed = await sink.resume(info(len(data)), checkpoint)
        await resumed.write(data[resumed.offset : -1])
        await resumed.flush()
        await writer.write(late[PART:])
        if same:
            first = await writer.finish()
            await resumed.write(data[-1:])
            assert (await resumed.finish()).metadata == first.metadata
            assert broken.read(first.key) == data
        else:
            with contextlib.suppress(SinkError):
                await writer.finish()
            await resumed.write(data[-1:])
            with contextlib.suppress(SinkError):
                assert await (await resumed.finish()).aread() == data
            await resumed.abort()
            assert broken.keys() == []


async def test_a_store_that_is_down_is_not_asked_more_often_for_being_asked_two_things(broken):
    async with sink_for(broken) as sink:
        checkpoint = await (await sink.open(info(SMALL))).checkpoint()
        resumed = await sink.resume(info(SMALL), checkpoint)
        await resumed.write(bytes(SMALL))
        broken.requests.clear()
        broken.faults = {"put": [410] * 100, "get": [503] * 100}
        with pytest.raises(SinkUnavailable):
            await resumed.finish()
        assert broken.count("put") == broken.count("get") == gcs.ATTEMPTS
        broken.faults = {}
        file = await resumed.finish()
    assert broken.read(file.key) == bytes(SMALL)


# What is none


async def test_a_cancelled_session_is_not_resumed(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(2 * PART))
        await writer.write(bytes(PART))
        await writer._landed()
        checkpoint = await writer.checkpoint()
        await writer.abort()
        with pytest.raises(NotResumable, match="its session is gone"):
            await sink.resume(info(2 * PART), checkpoint)


async def test_what_is_no_checkpoint_of_the_file_is_not_resumed(broken):
    async with sink_for(broken) as sink:
        checkpoint = await (await sink.open(info(2 * PART))).checkpoint()
        wrong = ({}, {"key": "x"}, [], checkpoint | {"size": 1}, checkpoint | {"offset": -1})
        for wrong_one in wrong:
            with pytest.raises(NotResumable):
                await sink.resume(info(2 * PART), wrong_one)
    assert broken.requests == []
