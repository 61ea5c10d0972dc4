"""ObjectStoreSink in front of a store that misbehaves."""

from __future__ import annotations

import asyncio
import datetime
import os

import pytest

from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkTimeout, SinkUnavailable
from djust_uploads.sinks.object_store import client as object_store_client
from tests.sinks.s3.test_sink import MIB, PART, SMALL, info, stored, upload, write
from tests.support.faulty import DROPPED, ERROR_IN_200, LOST, NO_ETAG, TRUNCATED
from tests.support.object_store_uploads import sink_for
from tests.support.s3_stores import KEYS, empty

GUESSABLE = ["", lambda upload: "guessable"]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(object_store_client, "PAUSE", 0.001)


@pytest.fixture
def one_attempt(monkeypatch):
    monkeypatch.setattr(object_store_client, "ATTEMPTS", 1)


@pytest.mark.parametrize(
    "faults",
    [
        ["ServiceUnavailable"],
        [ERROR_IN_200],
        [LOST],
        [DROPPED],
        ["SlowDown", LOST],
        [LOST, ERROR_IN_200],
    ],
)
@pytest.mark.parametrize(("name", "size"), [("Complete", PART + 3), ("PUT", SMALL)])
@pytest.mark.parametrize("upload_to", GUESSABLE)
async def test_however_the_end_is_answered_there_is_one_right_object(
    broken, moto_store, name, size, faults, upload_to
):
    if name == "PUT" and ERROR_IN_200 in faults:
        faults = ["InternalError"]
    broken.faults[name] = list(faults)
    data = os.urandom(size)
    async with sink_for(broken, upload_to=upload_to, marks=None) as sink:
        file = await upload(sink, data)
    assert moto_store.object_keys() == [file.key]
    assert stored(moto_store, file.key) == data
    assert moto_store.uploads() == []


async def test_a_mark_that_can_not_be_set_fails_the_upload_and_can_be_tried_again(
    broken, moto_store, one_attempt
):
    for size in (SMALL, PART + 1):
        broken.faults["PUT"] = ["InternalError"]
        async with sink_for(broken) as sink:
            writer = await sink.open(info(size))
            with pytest.raises(SinkUnavailable):
                await write(writer, bytes(size))
                await writer.finish()
            if size == SMALL:
                await (await writer.finish()).adelete()
            await writer.abort()
        assert moto_store.object_keys() == moto_store.uploads() == []


@pytest.mark.parametrize("fault", ["ServiceUnavailable", LOST])
@pytest.mark.parametrize("upload_to", GUESSABLE)
async def test_finish_of_what_fits_in_a_part_may_be_called_again(
    broken, moto_store, one_attempt, fault, upload_to
):
    data = os.urandom(SMALL)
    async with sink_for(broken, upload_to=upload_to, marks=None) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(data)
        broken.faults = {"PUT": [fault], "HEAD": ["InternalError"]}
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    assert stored(moto_store, file.key) == data


@pytest.mark.parametrize("upload_to", GUESSABLE)
async def test_finish_finds_a_multipart_upload_that_ended_though_nobody_heard_of_it(
    broken, moto_store, one_attempt, upload_to
):
    data = os.urandom(PART + 3)
    async with sink_for(broken, upload_to=upload_to) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data)
        broken.faults = {"Complete": [LOST], "HEAD": ["InternalError"]}
        with pytest.raises(SinkError):
            await writer.finish()
        file = await writer.finish()
    assert stored(moto_store, file.key) == data


@pytest.mark.parametrize("fault", ["ServiceUnavailable", "AccessDenied", LOST])
@pytest.mark.parametrize(("name", "size"), [("Complete", PART + 3), ("PUT", SMALL)])
@pytest.mark.parametrize("upload_to", GUESSABLE)
async def test_abort_after_an_end_that_nobody_knows_leaves_nothing(
    broken, moto_store, one_attempt, name, size, fault, upload_to
):
    async with sink_for(broken, upload_to=upload_to, marks=None) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        broken.faults[name] = [fault]
        if fault != "AccessDenied":
            # Where the answer leaves doubt, finish() asks what is there; it is not told.
            broken.faults["HEAD"] = ["InternalError"]
        with pytest.raises(SinkError):
            await writer.finish()
        await writer.abort()
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_throttling_and_dropped_connections_are_tried_again(broken, moto_store):
    broken.faults = {
        "Create": ["SlowDown"],
        "UploadPart 1": ["SlowDown", DROPPED],
        "UploadPart 2": ["InternalError"],
        "UploadPart 3": [LOST],
    }
    data = os.urandom(2 * PART + 3)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert stored(moto_store, file.key) == data
    assert broken.count("UploadPart") == 3 + 2 + 2


@pytest.mark.parametrize("number", [1, 2, 6])
@pytest.mark.parametrize("fault", ["InternalError", "AccessDenied", DROPPED])
async def test_a_part_that_fails_ends_the_upload_and_leaves_nothing(
    broken, moto_store, one_attempt, fault, number
):
    # The HTTP client repeats a request once if the connection was an old one.
    broken.faults[f"UploadPart {number}"] = [fault] * 2
    data = os.urandom(6 * PART)
    expected = SinkMisconfigured if fault == "AccessDenied" else SinkUnavailable
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        with pytest.raises(expected):
            await write(writer, data, MIB)
            await writer.finish()
        # What obstore has aborted can't go on.
        with pytest.raises(SinkError):
            await writer.write(b"")
        assert writer.offset == 0
        await writer.abort()
        await writer.abort()
    assert broken.count("Complete") == 0
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_an_abort_that_the_store_refuses_is_logged(broken, moto_store, caplog):
    broken.faults["Abort"] = ["AccessDenied"]
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await writer.write(bytes(2 * PART))
        await writer.abort()
        await writer.abort()
    (record,) = (record for record in caplog.records if record.name == "djust_uploads")
    assert writer.key in record.message and "may remain" in record.message
    empty(moto_store)


async def test_a_reader_goes_on_after_a_dropped_answer(broken):
    data = os.urandom(200_000)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        broken.faults["GET"] = [DROPPED, TRUNCATED, "SlowDown"]
        assert await file.aread() == data


async def test_a_sweep_goes_on_when_the_store_stumbles(broken, moto_store):
    async with sink_for(broken) as sink:
        file = await upload(sink, b"content")
        broken.faults = {"GET": ["SlowDown", DROPPED], "DELETE": ["SlowDown"]}
        assert await sink.sweep(datetime.timedelta(0)) == [file.key]
    assert moto_store.object_keys() == []


async def test_a_store_that_gives_no_etag_at_the_end(broken):
    data = os.urandom(PART + 1)
    broken.faults["Complete"] = [NO_ETAG]
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        assert await file.aread() == data


async def test_a_fatal_error_is_not_tried_again(broken):
    broken.faults["Create"] = ["AccessDenied"]
    async with sink_for(broken, marks=None) as sink:
        writer = await sink.open(info(3 * PART))
        with pytest.raises(SinkMisconfigured):
            await write(writer, bytes(PART))
            await write(writer, bytes(2 * PART))
            await writer.finish()
        await writer.abort()
    assert broken.requests == ["Create"]


# What is told


async def test_a_store_that_does_not_answer(one_attempt):
    gone = asyncio.Event()

    async def silent(reader, writer):
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    store = type("Store", (), {"options": {"endpoint_url": address, **KEYS}})
    async with server, sink_for(store, client_options={"timeout": "200ms"}) as sink:
        with pytest.raises(SinkTimeout):
            await upload(sink, b"content")
        await gone.wait()


async def test_nobody_there_is_retryable_and_names_the_endpoint(one_attempt, moto_store):
    async with sink_for(moto_store, endpoint_url="http://127.0.0.1:1") as sink:
        with pytest.raises(SinkUnavailable, match="endpoint_url"):
            await upload(sink, b"content")


async def test_an_unknown_certificate_is_a_setting(one_attempt, seaweedfs_store):
    async with sink_for(seaweedfs_store) as sink:
        sink._bucket.client._client_options = {}
        with pytest.raises(SinkMisconfigured, match="root_certificate"):
            await upload(sink, b"content")
