"""What is particular to ObjectStoreSink: checksums and signatures, marks, loops and the budget."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from django.test import override_settings

from djust_uploads.exceptions import SinkMisconfigured
from djust_uploads.flow.budget import budget
from djust_uploads.sinks.marks import mark_of
from djust_uploads.sinks.object_store import writer as object_store_writer
from tests.support.buckets import (
    ANY_AGE,
    MARKS,
    MIB,
    OBJECT_STORE,
    PART,
    SMALL,
    info,
    upload,
)
from tests.support.faulty import faulty
from tests.support.google_xml import google
from tests.support.s3_stores import empty, make_certificate

# What arrives


@pytest.mark.parametrize("checksum", ["CRC64NVME", "SHA256", None])
async def test_every_body_has_its_checksum_and_over_tls_no_signature(
    moto_store, tmp_path, checksum
):
    certificate = make_certificate(tmp_path)
    data = os.urandom(PART + 1)
    async with faulty(moto_store.endpoint_url, certificate) as proxy:
        proxy.ca_bundle = certificate[0]
        async with OBJECT_STORE.sink(proxy, checksum=checksum) as sink:
            await upload(sink, data[:SMALL])
            await upload(sink, data)
    bodies = 0
    for name, headers in zip(proxy.requests, proxy.headers, strict=True):
        assert "Transfer-Encoding" not in headers
        if name == "PUT" or name.startswith("UploadPart"):
            bodies += 1
            assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
            sums = [name for name in headers if name.lower().startswith("x-amz-checksum-")]
            assert sums == ([f"x-amz-checksum-{checksum.lower()}"] if checksum else [])
    # A mark and an object, and a mark and two parts.
    assert bodies == 5


@pytest.mark.parametrize("checksum", ["CRC64NVME", None])
async def test_over_plain_http_a_body_without_a_checksum_is_signed(broken, checksum):
    async with OBJECT_STORE.sink(broken, checksum=checksum) as sink:
        await upload(sink, bytes(SMALL))
    signed = hashlib.sha256(bytes(SMALL)).hexdigest()
    expected = "UNSIGNED-PAYLOAD" if checksum else signed
    assert broken.headers[-1]["x-amz-content-sha256"] == expected


async def test_chunks_of_a_part_are_handed_over_as_they_came(moto_store, monkeypatch):
    empty(moto_store)
    given = []
    give = object_store_writer.Stream.give

    async def note(stream, piece):
        given.append(piece)
        await give(stream, piece)

    monkeypatch.setattr(object_store_writer.Stream, "give", note)
    chunk = os.urandom(MIB)
    async with OBJECT_STORE.sink(moto_store) as sink:
        writer = await sink.open(info(7 * MIB))
        for _ in range(7):
            await writer.write(chunk)
        file = await writer.finish()
    assert [piece is chunk for piece in given] == [True] * 7
    assert moto_store.read(file.key) == chunk * 7


async def test_google_has_its_own_names_of_headers(moto_store):
    empty(moto_store)
    with google(moto_store.endpoint_url) as proxy:
        options = {"metadata": {"from": "tests"}, "storage_class": "STANDARD"}
        async with OBJECT_STORE.sink(proxy, url="gs://media", **options) as sink:
            for size in (SMALL, PART + 1):
                file = await upload(sink, os.urandom(size))
                head = moto_store.head(file.key)
                assert head["Metadata"]["from"] == "tests"
                assert head["ContentType"] == "image/jpeg"
                await file.adelete()
    names = {name.lower() for headers in proxy.headers for name in headers}
    assert "x-goog-storage-class" in names
    assert not any(name.startswith("x-amz-") for name in names)
    assert moto_store.object_keys() == []


# Ends


def test_a_sink_is_for_all_event_loops(moto_store):
    empty(moto_store)
    keys = []

    async def use():
        async with OBJECT_STORE.sink(moto_store) as sink:
            files = await asyncio.gather(upload(sink, b"1"), upload(sink, bytes(PART + 1)))
            keys.extend(file.key for file in files)

    asyncio.run(use())
    asyncio.run(use())
    assert set(keys) < set(moto_store.object_keys())


async def test_tasks_that_are_cancelled_with_their_loop_leave_no_multipart_upload(moto_store):
    """As asyncio.run() does when a server ends: the steps of the iterable are tasks too."""
    empty(moto_store)

    def serve():
        async def main():
            async with OBJECT_STORE.sink(moto_store) as sink:
                writer = await sink.open(info(3 * PART))
                await writer.write(bytes(2 * PART))
                assert await asyncio.to_thread(moto_store.uploads)

                async def transfer():
                    try:
                        await asyncio.Event().wait()
                    finally:
                        await writer.abort()

                task = asyncio.create_task(transfer())
                await asyncio.sleep(0)
                assert not task.done()

        asyncio.run(main())

    await asyncio.to_thread(serve)
    assert moto_store.object_keys() == moto_store.uploads() == []


# Keys


async def test_of_two_uploads_to_one_key_one_fails(store):
    """Multipart uploads by obstore overwrite; the place is held before they begin."""
    data = os.urandom(2 * PART)
    async with OBJECT_STORE.sink(store, upload_to=lambda upload: "fixed") as sink:
        first, second = [await sink.open(info(len(data))) for _ in range(2)]
        await first.write(data[:PART])
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await second.write(bytes(PART))
        await second.abort()
        await first.write(data[PART:])
        file = await first.finish()
        assert store.read("fixed") == data
        await file.adelete()
    assert store.object_keys() == []


@pytest.mark.parametrize("wrong", ["a//b", "a/", "a/./b", "a\x01b"])
async def test_a_key_that_obstore_would_change_is_a_setting(moto_store, wrong):
    empty(moto_store)
    async with OBJECT_STORE.sink(moto_store, upload_to=lambda upload: wrong) as sink:
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await upload(sink, b"content")


# The sweep


async def test_the_sweep_takes_nothing_for_the_marks_of_others(store):
    """Somebody else signed the one, and nobody signed the other."""
    forged = mark_of("photos/theirs").replace(b":", b":x", 1)
    theirs = {
        "photos/theirs": b"theirs",
        f"{MARKS}/forged": forged,
        f"{MARKS}/binary": b"\xff",
    }
    for key, content in theirs.items():
        store.put(key, content)
    async with OBJECT_STORE.sink(store, upload_to="photos/%Y/") as sink:
        assert await sink.sweep(ANY_AGE) == []
    assert sorted(store.object_keys()) == sorted(theirs)


async def test_two_sweeps_at_once(moto_store):
    empty(moto_store)
    async with OBJECT_STORE.sink(moto_store) as sink:
        for _ in range(3):
            await upload(sink, b"abandoned")
        await asyncio.gather(sink.sweep(ANY_AGE), sink.sweep(ANY_AGE))
    assert moto_store.object_keys() == []


async def test_without_marks_there_is_no_request_more_and_nothing_is_swept(broken):
    async with OBJECT_STORE.sink(broken, marks=None) as sink:
        file = await upload(sink, b"content")
        await file.akeep()
        assert await sink.sweep(ANY_AGE) == []
        assert broken.requests == ["PUT"]


# Pace


async def test_parts_that_do_not_fit_in_the_budget_wait(moto_store):
    empty(moto_store)
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        OBJECT_STORE.sink(slow, max_concurrency=4) as sink,
    ):
        # A half of it is for what sinks have on their way.
        with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 2 * 3 * PART}):
            await upload(sink, bytes(8 * PART))
            assert slow.most_in_flight == 3 and budget.sending == 0
            writers = [await sink.open(info(8 * PART)) for _ in range(2)]
            for writer, held in zip(writers, (3 * PART, 4 * PART), strict=True):
                await writer.write(bytes(MIB))
                assert budget.sending == held
            for writer in writers:
                await writer.abort()
    assert budget.sending == 0
