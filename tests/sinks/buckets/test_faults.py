"""A store that misbehaves: it is busy, loses answers, drops connections, fails after a 200."""

from __future__ import annotations

import os

import pytest

from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkUnavailable
from tests.support.buckets import ANY_AGE, MIB, PART, S3, SMALL, info, upload, write
from tests.support.faulty import DROPPED, ERROR_IN_200, LOST, NO_ETAG, TRUNCATED

#: A file of more than a part, whose upload is completed, and one that is put at once.
ENDS = pytest.mark.parametrize(("name", "size"), [("Complete", PART + 3), ("PUT", SMALL)])
KEYS = pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"], ids=["", "guessable"])


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
@ENDS
@KEYS
async def test_however_the_end_is_answered_there_is_one_right_object(
    kind, broken, moto_store, name, size, faults, upload_to
):
    if name == "PUT":
        faults = ["InternalError" if fault == ERROR_IN_200 else fault for fault in faults]
    broken.faults[name] = list(faults)
    data = os.urandom(size)
    async with kind.sink(broken, upload_to=upload_to, **kind.unmarked) as sink:
        file = await upload(sink, data)
    assert moto_store.object_keys() == [file.key]
    assert moto_store.read(file.key) == data
    assert moto_store.uploads() == []


def in_doubt(kind, name, upload_to):
    """The answers to HEAD with which ``finish()`` does not learn what became of the file."""
    asked_before = kind.looks_up and upload_to and name == "PUT"
    return ["NoSuchKey", "InternalError"] if asked_before else ["InternalError"]


@pytest.mark.parametrize("fault", ["ServiceUnavailable", LOST])
@KEYS
async def test_finish_of_what_fits_in_a_part_may_be_called_again(
    kind, broken, moto_store, one_attempt, fault, upload_to
):
    data = os.urandom(SMALL)
    async with kind.sink(broken, upload_to=upload_to, **kind.unmarked) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(data)
        broken.faults = {"PUT": [fault], "HEAD": in_doubt(kind, "PUT", upload_to)}
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    assert moto_store.read(file.key) == data


@KEYS
async def test_finish_finds_a_multipart_upload_that_ended_though_nobody_heard_of_it(
    kind, broken, moto_store, one_attempt, upload_to
):
    data = os.urandom(PART + 3)
    async with kind.sink(broken, upload_to=upload_to, **kind.unmarked) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data)
        broken.faults = {"Complete": [LOST], "HEAD": in_doubt(kind, "Complete", upload_to)}
        with pytest.raises(SinkError):
            await writer.finish()
        file = await writer.finish()
    assert moto_store.object_keys() == [file.key]
    assert moto_store.read(file.key) == data


@pytest.mark.parametrize("fault", ["ServiceUnavailable", "AccessDenied", LOST])
@ENDS
@KEYS
async def test_abort_after_an_end_that_nobody_knows_leaves_nothing(
    kind, broken, moto_store, one_attempt, name, size, fault, upload_to
):
    async with kind.sink(broken, upload_to=upload_to, **kind.unmarked) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        broken.faults[name] = [fault]
        if fault != "AccessDenied":
            # Where the answer leaves doubt, finish() asks what is there. It is not told.
            broken.faults["HEAD"] = in_doubt(kind, name, upload_to)
        with pytest.raises(SinkError):
            await writer.finish()
        await writer.abort()
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_throttling_and_dropped_connections_are_tried_again(kind, broken, moto_store):
    broken.faults = {
        "Create": ["SlowDown"],
        "UploadPart 1": ["SlowDown", DROPPED],
        "UploadPart 2": ["InternalError"],
        "UploadPart 3": [LOST],
    }
    data = os.urandom(2 * PART + 3)
    async with kind.sink(broken) as sink:
        file = await upload(sink, data)
    assert moto_store.read(file.key) == data
    assert broken.count("UploadPart") == 3 + 2 + 2


@pytest.mark.parametrize("number", [1, 2, 6])
@pytest.mark.parametrize("fault", ["InternalError", "AccessDenied", DROPPED])
async def test_a_part_that_fails_is_a_clean_error(
    kind, broken, moto_store, one_attempt, fault, number
):
    # The HTTP client repeats a request once if the connection was an old one.
    broken.faults[f"UploadPart {number}"] = [fault] * 2
    data = bytes(6 * PART)
    expected = SinkMisconfigured if fault == "AccessDenied" else SinkUnavailable
    async with kind.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        with pytest.raises(expected):
            await write(writer, data, MIB)
            await writer.finish()
        assert writer.offset <= (number - 1) * PART
        await writer.abort()
        await writer.abort()
    assert broken.count("Complete") == 0
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_a_fatal_error_is_not_tried_again(kind, broken):
    broken.faults["Create"] = ["AccessDenied"]
    async with kind.sink(broken, **kind.unmarked) as sink:
        writer = await sink.open(info(3 * PART))
        with pytest.raises(SinkMisconfigured):
            await write(writer, bytes(kind.told_after))
            await writer.finish()
        await writer.abort()
    assert broken.requests == ["Create"]


async def test_a_reader_goes_on_after_a_dropped_answer(kind, broken):
    data = os.urandom(200_000)
    async with kind.sink(broken) as sink:
        file = await upload(sink, data)
        broken.faults["GET"] = [DROPPED, TRUNCATED, "SlowDown"]
        assert await file.aread() == data


async def test_a_sweep_goes_on_when_the_store_stumbles(kind, broken, moto_store):
    async with kind.sink(broken) as sink:
        file = await upload(sink, b"content")
        broken.faults = {"GET": ["SlowDown", DROPPED], "DELETE": ["SlowDown"]}
        assert await sink.sweep(ANY_AGE) == [file.key]
    assert moto_store.object_keys() == []


async def test_a_store_that_gives_no_etag_at_the_end(kind, broken):
    data = os.urandom(PART + 1)
    broken.faults["Complete"] = [NO_ETAG]
    async with kind.sink(broken) as sink:
        file = await upload(sink, data)
        # ObjectStoreSink asks for it.
        assert (file.metadata["etag"] == "") == (kind is S3)
        assert await file.aread() == data


async def test_nobody_there_is_retryable_and_names_the_endpoint(kind, one_attempt, moto_store):
    async with kind.sink(moto_store, endpoint_url="http://127.0.0.1:1") as sink:
        with pytest.raises(SinkUnavailable, match="endpoint_url"):
            await upload(sink, b"content")
