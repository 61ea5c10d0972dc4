"""GCSSink goes on from a checkpoint."""

from __future__ import annotations

import json
import os

import pytest

from djust_uploads.exceptions import (
    NotResumable,
    SinkError,
)
from djust_uploads.sinks.gcs_api import _stored
from tests.gcs_uploads import (  # noqa: F401 (fixtures)
    MIB,
    PART,
    SMALL,
    broken,
    crc32c,
    gcs_emulator,
    gcs_proxy,
    info,
    no_pauses,
    sink_for,
    store,
    upload,
    write,
)


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
        with pytest.raises(NotResumable, match=f"{PART} bytes of {2 * PART}"):
            await sink.resume(info(4 * PART), checkpoint)
        await writer.abort()


@pytest.mark.parametrize("status", [200, 404, 410])
async def test_an_upload_that_was_finished_meanwhile_only_finishes(broken, status):
    data = os.urandom(2 * PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        await writer._landed()
        checkpoint = through_a_cache(await writer.checkpoint())
        assert checkpoint["offset"] == 2 * PART
        first = await writer.finish()
        if status != 200:
            broken.faults["query"] = [status] * 10
        resumed = await sink.resume(info(len(data)), checkpoint)
        await resumed.write(data[2 * PART :])
        file = await resumed.finish()
        assert file.metadata == first.metadata
        assert broken.keys() == [file.key] and broken.read(file.key) == data
        await resumed.abort()
        assert broken.keys() == []


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
async def test_so_it_is_without_a_session_in_the_checkpoint(broken, size):
    data = os.urandom(size)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        checkpoint = through_a_cache(await writer.checkpoint())
        await write(writer, data)
        first = await writer.finish()
        resumed = await sink.resume(info(size), checkpoint)
        assert resumed.offset == 0
        await write(resumed, data)
        file = await resumed.finish()
        assert file.metadata == first.metadata
        assert broken.keys() == [file.key] and broken.read(file.key) == data
        other = await sink.resume(info(size), checkpoint)
        await write(other, bytes(size))
        with pytest.raises(SinkError, match="instead of"):
            await other.finish()


async def test_a_finished_upload_is_resumed_at_any_offset(broken):
    data = os.urandom(4 * PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await writer._landed()
        early = through_a_cache(await writer.checkpoint())
        await write(writer, data[PART:])
        first = await writer.finish()
        late = through_a_cache(await writer.checkpoint())
        puts = broken.count("put")
        for checkpoint, offset in ((early, PART), (late, 4 * PART + 1)):
            resumed = await sink.resume(info(len(data)), checkpoint)
            assert resumed.offset == offset
            await write(resumed, data[offset:])
            assert (await resumed.finish()).metadata == first.metadata
        assert broken.count("put") == puts


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
