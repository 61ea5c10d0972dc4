"""S3Sink in front of a store that misbehaves."""

from __future__ import annotations

import os

import pytest

from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.sinks.s3 import clients
from tests.support.buckets import PART, S3, info, upload, write
from tests.support.faulty import ERROR_IN_200, LOST
from tests.support.s3_stores import empty


@pytest.mark.parametrize("fault", ["ServiceUnavailable", ERROR_IN_200, LOST])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"], ids=["", "guessable"])
async def test_finish_may_complete_the_upload_again(
    broken, moto_store, monkeypatch, fault, upload_to
):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    data = os.urandom(PART + 3)
    async with S3.sink(broken, upload_to=upload_to) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data)
        broken.faults = {"Complete": [fault], "HEAD": ["InternalError"]}
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    assert moto_store.read(file.key) == data


async def test_a_part_that_failed_is_sent_again_by_the_next_finish(broken, moto_store, monkeypatch):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    broken.faults["UploadPart 2"] = ["InternalError"]
    data = os.urandom(3 * PART)
    async with S3.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        assert writer.offset == PART
        file = await writer.finish()
        assert writer.offset == len(data)
    assert moto_store.read(file.key) == data
    assert sorted(broken.requests).count("UploadPart 2") == 2


async def test_a_multipart_upload_whose_id_got_lost_is_aborted(broken, moto_store):
    broken.faults["Create"] = [LOST]
    data = os.urandom(PART + 1)
    async with S3.sink(broken) as sink:
        file = await upload(sink, data)
        assert moto_store.uploads() == []
        assert moto_store.read(file.key) == data
        broken.faults["Create"] = [LOST]
        writer = await sink.open(info(2 * PART))
        await writer.write(bytes(PART))
        await writer.abort()
    assert moto_store.uploads() == []


async def test_what_can_not_be_cleaned_up_does_not_undo_the_upload(broken, moto_store):
    broken.faults = {"Create": [LOST], "ListUploads": ["AccessDenied"]}
    data = os.urandom(PART + 1)
    async with S3.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    empty(moto_store)


async def test_a_store_without_conditional_writes_is_asked_without(broken, moto_store):
    broken.faults["PUT"] = ["NotImplemented"]
    async with S3.sink(broken) as sink:
        file = await upload(sink, b"content")
        assert moto_store.read(file.key) == b"content"
        await upload(sink, b"content")
        assert broken.requests == ["PUT", "PUT", "PUT"]
        assert ["If-None-Match" in headers for headers in broken.headers] == [True, False, False]
