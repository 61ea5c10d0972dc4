"""S3Sink goes on from a checkpoint, and what is late from before it does no harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import pytest

from djust_uploads.exceptions import NotResumable, SinkError, SinkUnavailable
from djust_uploads.sinks.s3 import clients
from tests.support.buckets import MIB, PART, S3, SMALL, info, write
from tests.support.faulty import LOST, faulty
from tests.support.s3_stores import empty


def through_a_cache(checkpoint):
    return json.loads(json.dumps(checkpoint))


@contextlib.asynccontextmanager
async def killed(store, data, written, **options):
    """The checkpoint of a process that is gone, and its sink's last writer, to look at."""
    async with S3.sink(store, **options) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data[:written], MIB)
        await writer.flush()
        yield through_a_cache(await writer.checkpoint()), writer
        await writer.release()


async def resumed(sink, data, checkpoint):
    writer = await sink.resume(info(len(data)), checkpoint)
    await write(writer, data[writer.offset :], MIB)
    return writer


@pytest.fixture
async def slow(seaweedfs_store):
    """SeaweedFS behind a proxy that can hold requests back: it tells of an upload that ended what
    moto takes for a fault of its own."""
    empty(seaweedfs_store)
    async with faulty(seaweedfs_store.endpoint_url) as proxy:
        yield proxy
    assert seaweedfs_store.uploads() == []


async def test_another_sink_goes_on_from_the_checkpoint(store):
    data = os.urandom(4 * PART + 7)
    async with killed(store, data, 2 * PART + 100) as (checkpoint, writer):
        assert writer.offset == checkpoint["offset"] == 2 * PART
    # Another configuration meanwhile changes nothing for what has begun.
    async with S3.sink(store, part_size=6 * MIB, checksum="SHA256") as other:
        second = await other.resume(info(len(data)), checkpoint)
        assert second.offset == 2 * PART
        await write(second, data[2 * PART :])
        file = await second.finish()
    assert store.object_keys() == [file.key] == [writer.key]
    assert store.read(file.key) == data


async def test_parts_beyond_a_gap_are_not_in_the_checkpoint(broken, moto_store, monkeypatch):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    broken.faults["UploadPart 2"] = ["InternalError"]
    data = os.urandom(4 * PART)
    async with S3.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        with pytest.raises(SinkUnavailable):
            await writer.write(data)
            await writer.finish()
        checkpoint = await writer.checkpoint()
        assert checkpoint["offset"] == writer.offset == PART
        assert len(checkpoint["parts"]) == 1
        file = await (await resumed(sink, data, checkpoint)).finish()
    assert moto_store.read(file.key) == data


@pytest.mark.parametrize("size", [SMALL, 2 * PART])
async def test_a_checkpoint_before_any_part_starts_at_0_under_the_same_key(store, size):
    data = os.urandom(size)
    async with killed(store, data, 10) as (checkpoint, writer), S3.sink(store) as sink:
        second = await sink.resume(info(size), checkpoint)
        assert second.offset == 0
        await write(second, data)
        file = await second.finish()
    assert file.key == writer.key
    assert store.read(file.key) == data


async def test_a_part_that_the_store_lost_is_no_checkpoint_to_go_on_from(store):
    data = os.urandom(3 * PART)
    async with killed(store, data, 2 * PART) as (checkpoint, writer), S3.sink(store) as sink:
        for wrong in ({"ETag": '"another"'}, {"ETag": '"another"', "ChecksumCRC32": "AAAAAA=="}):
            changed = {**checkpoint, "parts": [checkpoint["parts"][0], wrong]}
            with pytest.raises(NotResumable, match=f"{PART} of {2 * PART} bytes are left"):
                await sink.resume(info(len(data)), changed)
        await writer.abort()


async def test_an_upload_that_was_aborted_is_not_resumed(store):
    async with (
        killed(store, bytes(2 * PART), PART) as (checkpoint, writer),
        S3.sink(store) as sink,
    ):
        await writer.abort()
        for offset in (PART, 0):
            with pytest.raises(NotResumable, match="its multipart upload is gone"):
                await sink.resume(info(2 * PART), {**checkpoint, "offset": offset})


async def test_what_is_no_checkpoint_of_the_file_is_not_resumed(moto_store):
    async with S3.sink(moto_store) as sink:
        checkpoint = await (await sink.open(info(2 * PART))).checkpoint()
        for wrong in ({}, {"key": "x"}, [], checkpoint | {"size": 1}):
            with pytest.raises(NotResumable):
                await sink.resume(info(2 * PART), wrong)


# Flush and release


async def test_flush_waits_for_parts_and_keeps_errors(broken, moto_store, monkeypatch):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    data = os.urandom(3 * PART)
    async with S3.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        gate = broken.gates["UploadPart 1"] = asyncio.Event()
        broken.faults["UploadPart 2"] = ["InternalError"]
        await writer.write(data[: 2 * PART])
        flushing = asyncio.create_task(writer.flush())
        await broken.wait_answered("UploadPart 2")
        assert not flushing.done()
        gate.set()
        await flushing
        assert writer.offset == PART
        with pytest.raises(SinkUnavailable):
            await writer.write(data[2 * PART :])
        file = await (await resumed(sink, data, await writer.checkpoint())).finish()
        assert moto_store.read(file.key) == data


async def test_release_touches_nothing_in_the_store(broken, moto_store):
    data = os.urandom(4 * PART)
    async with killed(broken, data, 2 * PART) as (checkpoint, writer):
        gate = broken.gates["UploadPart 3"] = asyncio.Event()
        await writer.write(data[2 * PART : 3 * PART + 1])
        await broken.wait_for("UploadPart 3")
        before = list(broken.requests)
        await writer.release()
        await writer.release()
        assert broken.requests == before and moto_store.uploads() == [writer.key]
        assert not (writer._tasks or writer._unsent or writer._gatherer.part.chunks)
        gate.set()
        async with S3.sink(broken) as sink:
            file = await (await resumed(sink, data, checkpoint)).finish()
    assert moto_store.read(file.key) == data


# What landed after the checkpoint


async def test_parts_whose_checksums_are_listed_count(broken, moto_store):
    broken.lists_checksums = True
    data = os.urandom(5 * PART + 7)
    async with killed(broken, data, PART) as (checkpoint, writer):
        await writer.write(data[PART : 3 * PART])
        await writer.flush()
        async with S3.sink(broken) as sink:
            second = await sink.resume(info(len(data)), checkpoint)
            assert second.offset == 3 * PART
            await write(second, data[3 * PART :])
            file = await second.finish()
    assert broken.count("UploadPart") == 6
    assert moto_store.read(file.key) == data


async def test_so_do_all_where_there_are_none(store):
    data = os.urandom(2 * PART + 7)
    async with killed(store, data, 10, checksum=None) as (_, writer):
        await writer._begin()
        checkpoint = through_a_cache(await writer.checkpoint())
        await writer.write(data[10:])
        await writer.flush()
        async with S3.sink(store, checksum=None) as sink:
            second = await sink.resume(info(len(data)), checkpoint)
            # All that is missing is the end.
            assert second.offset == len(data)
            file = await second.finish()
    assert store.read(file.key) == data


async def test_a_part_of_another_size_does_not_count(broken, moto_store):
    broken.lists_checksums = True
    data = os.urandom(3 * PART)
    async with killed(broken, data, PART) as (checkpoint, writer):
        moto_store.client().upload_part(
            Bucket="media",
            Key=writer.key,
            UploadId=checkpoint["upload_id"],
            PartNumber=2,
            Body=b"short",
        )
        async with S3.sink(broken) as sink:
            second = await sink.resume(info(len(data)), checkpoint)
            assert second.offset == PART
            await write(second, data[PART:])
            file = await second.finish()
    assert moto_store.read(file.key) == data


async def test_the_bytes_count_where_the_etag_changed(broken, moto_store):
    """As in a bucket that is encrypted by KMS, when a part is stored twice."""
    broken.lists_checksums = True
    data = os.urandom(3 * PART)
    async with killed(broken, data, 2 * PART) as (checkpoint, _), S3.sink(broken) as sink:
        checkpoint["parts"][1]["ETag"] = '"before"'
        second = await sink.resume(info(len(data)), checkpoint)
        assert second.offset == 2 * PART
        await write(second, data[2 * PART :])
        await second.flush()
        second._landed[1]["ETag"] = second._landed[3]["ETag"] = '"before"'
        file = await second.finish()
    assert broken.count("Complete") == 2
    assert moto_store.read(file.key) == data


# What was finished


@pytest.mark.parametrize("size", [0, SMALL, 2 * PART + 1])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_finished_upload_comes_back(store, size, when):
    data = os.urandom(size)
    async with killed(store, data, size) as (checkpoint, writer):
        first = await writer.finish()
        if when == "after":
            checkpoint = through_a_cache(await writer.checkpoint())
            assert checkpoint["offset"] == size
    async with S3.sink(store) as sink:
        second = await sink.resume(info(size), checkpoint)
        assert second.offset == size
        file = await second.finish()
        assert (file.key, file.metadata) == (first.key, first.metadata)
        assert await file.aread() == data
        again = through_a_cache(await second.checkpoint())
        third = await sink.resume(info(size), again)
        assert (await third.finish()).metadata == first.metadata
        assert store.tags(file.key) == {"djust-upload": "unconsumed"}
        await third.abort()
        assert store.object_keys() == []
        if size:
            with pytest.raises(NotResumable):
                await sink.resume(info(size), again)


@pytest.mark.parametrize("upload_to", ["", lambda upload: "fixed"])
async def test_an_object_of_others_is_not_what_was_finished(store, upload_to):
    async with S3.sink(store, upload_to=upload_to) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(bytes(SMALL))
        before = await writer.checkpoint()
        await writer.finish()
        after = await writer.checkpoint()
        store.client().put_object(Bucket="media", Key=writer.key, Body=bytes(SMALL))
        with pytest.raises(NotResumable, match=f"0 of {SMALL} bytes are left"):
            await sink.resume(info(SMALL), after)
        second = await sink.resume(info(SMALL), before)
        assert second.offset == 0
        await second.abort()
    assert store.read(writer.key) == bytes(SMALL)


@pytest.mark.parametrize("fault", ["ServiceUnavailable", "InternalError"])
async def test_a_store_that_does_not_answer_is_asked_again(broken, monkeypatch, fault):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    data = os.urandom(2 * PART)
    async with killed(broken, data, PART) as (checkpoint, _), S3.sink(broken) as sink:
        broken.faults["ListParts"] = [fault]
        with pytest.raises(SinkUnavailable):
            await sink.resume(info(len(data)), checkpoint)
        second = await resumed(sink, data, checkpoint)
        await second.finish()
        broken.faults["HEAD"] = [fault]
        with pytest.raises(SinkUnavailable):
            await sink.resume(info(len(data)), await second.checkpoint())
        third = await sink.resume(info(len(data)), await second.checkpoint())
        await third.abort()


# What is late


@pytest.mark.parametrize("end", ["finish", "abort"])
async def test_a_part_that_comes_after_the_end(slow, seaweedfs_store, end):
    data = os.urandom(4 * PART)
    async with killed(slow, data, PART) as (checkpoint, writer):
        gate = slow.gates["UploadPart 2"] = asyncio.Event()
        await writer.write(data[PART : 2 * PART])
        await slow.wait_for("UploadPart 2")
        async with S3.sink(slow) as sink:
            second = await resumed(sink, data, checkpoint)
            await second.flush()
            await getattr(second, end)()
        gate.set()
        await writer.flush()
        assert slow.answered.count("UploadPart 2") == 2
        assert writer.offset == PART
    if end == "finish":
        assert seaweedfs_store.read(writer.key) == data
    else:
        assert seaweedfs_store.object_keys() == []


@pytest.mark.parametrize("same", [True, False])
async def test_a_part_that_comes_before_the_end(slow, seaweedfs_store, same):
    """With the same bytes, it changes nothing; with others, it is not in the file."""
    data = os.urandom(3 * PART)
    late = data[PART : 2 * PART] if same else os.urandom(PART)
    async with killed(slow, data, PART) as (checkpoint, writer), S3.sink(slow) as sink:
        gate = slow.gates["UploadPart 2"] = asyncio.Event()
        await writer.write(late)
        await slow.wait_for("UploadPart 2")
        second = await resumed(sink, data, checkpoint)
        await second.flush()
        gate.set()
        await writer.flush()
        assert writer.offset == 2 * PART
        await second.finish()
    assert seaweedfs_store.read(writer.key) == data


async def test_a_store_that_kept_only_the_late_part_completes_nothing(broken, moto_store):
    data = os.urandom(3 * PART)
    async with killed(broken, data, PART) as (checkpoint, writer), S3.sink(broken) as sink:
        second = await resumed(sink, data, checkpoint)
        await second.flush()
        await writer.write(os.urandom(PART))
        await writer.flush()
        with pytest.raises(SinkError, match="InvalidPart"):
            await second.finish()
        await second.abort()
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_an_end_that_comes_late_leaves_one_object(slow, seaweedfs_store):
    """The process before asked for the end and was killed; the store takes its time."""
    data = os.urandom(3 * PART)
    async with killed(slow, data, PART) as (checkpoint, writer), S3.sink(slow) as sink:
        await writer.write(data[PART:])
        gate = slow.gates["Complete"] = asyncio.Event()
        finishing = asyncio.create_task(writer.finish())
        await slow.wait_for("Complete")
        second = await sink.resume(info(len(data)), checkpoint)
        assert second.offset == PART
        gate.set()
        await slow.wait_answered("Complete")
        # Its parts find no upload any more, but the object.
        await write(second, data[PART:])
        file = await second.finish()
        assert second.offset == len(data)
        assert (await finishing).metadata == file.metadata
        assert slow.count("Complete") == 1
    assert seaweedfs_store.object_keys() == [file.key]
    assert seaweedfs_store.read(file.key) == data


@pytest.mark.parametrize("size", [SMALL, 2 * PART])
@pytest.mark.parametrize("first", ["the late one", "ours"])
async def test_two_ends_leave_one_object(slow, seaweedfs_store, size, first):
    data = os.urandom(size)
    name = "PUT" if size == SMALL else "Complete"
    async with killed(slow, data, size) as (checkpoint, writer), S3.sink(slow) as sink:
        second = await resumed(sink, data, checkpoint)
        gate = slow.gates[name] = asyncio.Event()
        late, ours = (writer, second) if first == "ours" else (second, writer)
        held = asyncio.create_task(late.finish())
        await slow.wait_for(name)
        file = await ours.finish()
        gate.set()
        assert (await held).metadata == file.metadata
        assert await file.aread() == data
    assert seaweedfs_store.object_keys() == [file.key]


async def test_an_upload_that_began_after_the_checkpoint_is_not_left_behind(broken, moto_store):
    data = os.urandom(3 * PART)
    for end in ("finish", "abort"):
        async with killed(broken, data, 10) as (checkpoint, writer), S3.sink(broken) as sink:
            await writer.write(data[10:PART])
            assert moto_store.uploads() == [writer.key]
            second = await resumed(sink, data, checkpoint)
            await getattr(second, end)()
            assert moto_store.uploads() == []
        assert len(moto_store.object_keys()) == (end == "finish")
        empty(moto_store)


async def test_one_that_was_completed_meanwhile_leaves_none_of_ours(broken, moto_store):
    """Both began an upload of their own; the process before us was not dead, but late."""
    data = os.urandom(2 * PART)
    async with killed(broken, data, 10) as (checkpoint, writer), S3.sink(broken) as sink:
        second = await resumed(sink, data, checkpoint)
        await write(writer, data[10:])
        first = await writer.finish()
        assert moto_store.uploads() == [writer.key]
        assert (await second.finish()).metadata == first.metadata
        assert moto_store.uploads() == []
    assert moto_store.read(first.key) == data


async def test_an_id_that_got_lost_in_a_resumed_upload_is_aborted(broken, moto_store):
    data = os.urandom(2 * PART)
    async with killed(broken, data, 10) as (checkpoint, _), S3.sink(broken) as sink:
        broken.faults["Create"] = [LOST]
        file = await (await resumed(sink, data, checkpoint)).finish()
    assert moto_store.uploads() == [] and moto_store.read(file.key) == data
