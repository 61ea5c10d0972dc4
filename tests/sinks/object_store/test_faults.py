"""ObjectStoreSink in front of a store that misbehaves."""

from __future__ import annotations

import asyncio

import pytest

from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkTimeout, SinkUnavailable
from djust_uploads.sinks.object_store import client as object_store_client
from tests.support.buckets import MIB, OBJECT_STORE, PART, SMALL, info, upload, write
from tests.support.faulty import DROPPED
from tests.support.s3_stores import KEYS, empty


@pytest.fixture
def one_attempt(monkeypatch):
    monkeypatch.setattr(object_store_client, "ATTEMPTS", 1)


async def test_a_mark_that_can_not_be_set_fails_the_upload_and_can_be_tried_again(
    broken, moto_store, one_attempt
):
    for size in (SMALL, PART + 1):
        broken.faults["PUT"] = ["InternalError"]
        async with OBJECT_STORE.sink(broken) as sink:
            writer = await sink.open(info(size))
            with pytest.raises(SinkUnavailable):
                await write(writer, bytes(size))
                await writer.finish()
            if size == SMALL:
                await (await writer.finish()).adelete()
            await writer.abort()
        assert moto_store.object_keys() == moto_store.uploads() == []


@pytest.mark.parametrize("fault", ["InternalError", "AccessDenied", DROPPED])
async def test_an_upload_that_obstore_has_aborted_does_not_go_on(
    broken, moto_store, one_attempt, fault
):
    broken.faults["UploadPart 2"] = [fault] * 2
    async with OBJECT_STORE.sink(broken) as sink:
        writer = await sink.open(info(6 * PART))
        with pytest.raises(SinkError):
            await write(writer, bytes(6 * PART), MIB)
            await writer.finish()
        with pytest.raises(SinkError):
            await writer.write(b"")
        assert writer.offset == 0
        await writer.abort()
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_an_abort_that_the_store_refuses_is_logged(broken, moto_store, caplog):
    broken.faults["Abort"] = ["AccessDenied"]
    async with OBJECT_STORE.sink(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await writer.write(bytes(2 * PART))
        await writer.abort()
        await writer.abort()
    (record,) = (record for record in caplog.records if record.name == "djust_uploads")
    assert writer.key in record.message and "may remain" in record.message
    empty(moto_store)


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
    async with server, OBJECT_STORE.sink(store, client_options={"timeout": "200ms"}) as sink:
        with pytest.raises(SinkTimeout):
            await upload(sink, b"content")
        await gone.wait()


async def test_an_unknown_certificate_is_a_setting(one_attempt, seaweedfs_store):
    async with OBJECT_STORE.sink(seaweedfs_store) as sink:
        sink._bucket.client._client_options = {}
        with pytest.raises(SinkMisconfigured, match="root_certificate"):
            await upload(sink, b"content")
