"""ObjectStoreSink against moto, and against SeaweedFS over TLS."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import io
import os
import ssl
import urllib.request

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.test import override_settings

from djust_uploads.exceptions import SinkError, SinkMisconfigured
from djust_uploads.flow.budget import budget
from djust_uploads.sinks.marks import mark_of
from djust_uploads.sinks.object_store import writer as object_store_writer
from tests.sinks.s3.test_sink import MIB, PART, SMALL, info, stored, upload, write
from tests.support.faulty import faulty
from tests.support.google_xml import google
from tests.support.object_store_uploads import MARKS, kept, sink_for
from tests.support.s3_stores import empty, make_certificate

NOW = datetime.timedelta(0)

# What arrives


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        *((size, 8 * MIB) for size in (0, 1, 5 * MIB)),
        *((8 * MIB + difference, 8 * MIB) for difference in (-1, 0, 1)),
        (64 * MIB + 3, 8 * MIB),
        (10 * MIB, 5 * MIB),
    ],
)
async def test_what_is_stored_is_what_was_written(store, size, part_size):
    data = os.urandom(size)
    async with sink_for(store, upload_to="photos/%Y/", part_size=part_size) as sink:
        file = await upload(sink, data)
        assert hashlib.sha256(stored(store, file.key)).digest() == hashlib.sha256(data).digest()
        assert file.key.startswith(f"photos/{datetime.datetime.now(datetime.UTC):%Y}/")
        assert file.key.endswith("-cat.jpg")
        head = store.client().head_object(Bucket="media", Key=file.key)
        assert head["ContentType"] == file.content_type == "image/jpeg"
        assert head["ETag"].count("-") == (size > part_size)
        assert file.metadata == {"bucket": "media", "key": file.key, "etag": head["ETag"]}
        assert (file.size, file.name) == (size, "cat.jpg")
        assert kept(store) == [] and len(store.object_keys()) == 2
        await file.akeep()
        assert store.object_keys() == [file.key]
        await file.akeep()
        await file.adelete()
        assert store.object_keys() == []
        await file.adelete()


async def test_what_is_said_of_the_object(store):
    options = {
        "cache_control": "max-age=60",
        "metadata": {"from": "tests"},
        "content_disposition": "attachment",
    }
    async with sink_for(store, **options) as sink:
        for size in (SMALL, PART + 1):
            file = await upload(sink, bytes(size), name="schöne Katze.jpg")
            head = store.client().head_object(Bucket="media", Key=file.key)
            assert head["CacheControl"] == "max-age=60"
            assert head["Metadata"]["from"] == "tests"
            assert head["ContentDisposition"] == (
                "attachment; filename*=utf-8''sch%C3%B6ne%20Katze.jpg"
            )


@pytest.mark.parametrize("checksum", ["CRC64NVME", "SHA256", None])
async def test_every_body_has_its_checksum_and_over_tls_no_signature(
    moto_store, tmp_path, checksum
):
    certificate = make_certificate(tmp_path)
    data = os.urandom(PART + 1)
    async with faulty(moto_store.endpoint_url, certificate) as proxy:
        proxy.ca_bundle = certificate[0]
        async with sink_for(proxy, checksum=checksum) as sink:
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
    async with sink_for(broken, checksum=checksum) as sink:
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
    async with sink_for(moto_store) as sink:
        writer = await sink.open(info(7 * MIB))
        for _ in range(7):
            await writer.write(chunk)
        file = await writer.finish()
    assert [piece is chunk for piece in given] == [True] * 7
    assert stored(moto_store, file.key) == chunk * 7


# The file


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
async def test_seeking_and_reading(store, size):
    data = os.urandom(size)
    async with sink_for(store) as sink:
        file = await upload(sink, data)

        def read():
            with file.open() as opened:
                assert opened.read(10) == data[:10]
                opened.seek(-5, io.SEEK_END)
                assert opened.read() == data[-5:]
            assert b"".join(file.chunks()) == data

        await asyncio.to_thread(read)
        assert b"".join([chunk async for chunk in file.achunks()]) == data
        file.close()
        with pytest.raises(SynchronousOnlyOperation, match="aread"):
            file.open().read()


async def test_an_object_that_was_replaced_is_not_mixed_with_the_new_one(store):
    async with sink_for(store) as sink:
        file = await upload(sink, b"a" * 200_000)
        assert await file.aread(10) == b"a" * 10
        store.client().put_object(Bucket="media", Key=file.key, Body=b"b" * 200_000)
        with pytest.raises(SinkError, match="412"):
            await file.aread()


async def test_a_signed_url_works_and_a_public_one_is_plain(store):
    context = ssl.create_default_context(cafile=store.ca_bundle)
    async with sink_for(store, url_expires=60, content_disposition="inline") as sink:
        file = await upload(sink, b"content", name="a b.jpg")
        assert "X-Amz-Expires=60" in file.url

        def get():
            with urllib.request.urlopen(file.url, context=context) as answer:
                return answer.read(), answer.headers

        body, headers = await asyncio.to_thread(get)
        assert body == b"content"
        assert headers["Content-Type"] == "image/jpeg"
        assert headers["Content-Disposition"] == 'inline; filename="a b.jpg"'
    key = "ü/a b.jpg"
    async with sink_for(
        store, upload_to=lambda upload: key, custom_domain="cdn.example.com"
    ) as sink:
        file = await upload(sink, b"content")
        assert file.url == "https://cdn.example.com/%C3%BC/a%20b.jpg"
        assert stored(store, key) == await file.aread() == b"content"


async def test_google_has_its_own_names_of_headers(moto_store):
    empty(moto_store)
    with google(moto_store.endpoint_url) as proxy:
        options = {"metadata": {"from": "tests"}, "storage_class": "STANDARD"}
        async with sink_for(proxy, "gs://media", **options) as sink:
            for size in (SMALL, PART + 1):
                file = await upload(sink, os.urandom(size))
                head = moto_store.client().head_object(Bucket="media", Key=file.key)
                assert head["Metadata"]["from"] == "tests"
                assert head["ContentType"] == "image/jpeg"
                await file.adelete()
    names = {name.lower() for headers in proxy.headers for name in headers}
    assert "x-goog-storage-class" in names
    assert not any(name.startswith("x-amz-") for name in names)
    assert moto_store.object_keys() == []


# Ends


@pytest.mark.parametrize("written", [0, 10, PART, 2 * PART + 1, 3 * PART])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"])
async def test_abort_leaves_nothing(store, written, upload_to):
    async with sink_for(store, upload_to=upload_to) as sink:
        writer = await sink.open(info(3 * PART))
        await write(writer, os.urandom(written), 256 * 1024)
        await writer.abort()
        assert store.object_keys() == store.uploads() == []
        await writer.abort()


async def test_aclose_and_then_use(moto_store):
    empty(moto_store)
    async with sink_for(moto_store) as sink:
        writer = await sink.open(info(2 * PART))
        await writer.write(bytes(PART))
        await sink.aclose()
        # What was under way goes on, and what comes new begins.
        await writer.write(bytes(PART))
        file = await writer.finish()
        assert len(await file.aread()) == 2 * PART
        await (await upload(sink, b"2")).adelete()
        await file.adelete()
    assert moto_store.object_keys() == []


def test_a_sink_is_for_all_event_loops(moto_store):
    empty(moto_store)
    keys = []

    async def use():
        async with sink_for(moto_store) as sink:
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
            async with sink_for(moto_store) as sink:
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


@pytest.mark.parametrize("size", [SMALL, PART + 1])
async def test_an_object_of_others_is_never_overwritten(store, size):
    store.client().put_object(Bucket="media", Key="fixed", Body=b"theirs")
    async with sink_for(store, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await write(writer, bytes(size))
            await writer.finish()
        await writer.abort()
    assert stored(store, "fixed") == b"theirs"
    assert store.object_keys() == ["fixed"]


async def test_of_two_uploads_to_one_key_one_fails(store):
    """Multipart uploads by obstore overwrite; the place is held before they begin."""
    data = os.urandom(2 * PART)
    async with sink_for(store, upload_to=lambda upload: "fixed") as sink:
        first, second = [await sink.open(info(len(data))) for _ in range(2)]
        await first.write(data[:PART])
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await second.write(bytes(PART))
        await second.abort()
        await first.write(data[PART:])
        file = await first.finish()
        assert stored(store, "fixed") == data
        await file.adelete()
    assert store.object_keys() == []


@pytest.mark.parametrize(
    "wrong", ["", "/absolute", "a/../b", "a//b", "a/", "a/./b", "a\x01b", None]
)
async def test_a_callable_that_makes_no_key_is_a_setting(moto_store, wrong):
    empty(moto_store)
    async with sink_for(moto_store, upload_to=lambda upload: wrong) as sink:
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await upload(sink, b"content")


# The sweep


async def test_the_sweep_takes_what_is_abandoned_and_nothing_else(store):
    client, later = store.client(), datetime.timedelta(hours=1)
    async with sink_for(store, upload_to="photos/%Y/") as sink:
        consumed = await upload(sink, b"kept")
        await consumed.akeep()
        abandoned = await upload(sink, b"abandoned")
        client.put_object(Bucket="media", Key="photos/theirs", Body=b"theirs")
        # Signed by somebody else, and not signed at all.
        forged = mark_of("photos/theirs").replace(b":", b":x", 1)
        client.put_object(Bucket="media", Key=f"{MARKS}/forged", Body=forged)
        client.put_object(Bucket="media", Key=f"{MARKS}/binary", Body=b"\xff")

        assert await sink.sweep(later) == []
        assert await sink.sweep(NOW, dry_run=True) == [abandoned.key]
        assert await sink.sweep(NOW) == [abandoned.key]
        assert await sink.sweep(NOW) == []
    assert sorted(store.object_keys()) == sorted(
        [consumed.key, "photos/theirs", f"{MARKS}/forged", f"{MARKS}/binary"]
    )


async def test_two_sweeps_at_once(moto_store):
    empty(moto_store)
    async with sink_for(moto_store) as sink:
        for _ in range(3):
            await upload(sink, b"abandoned")
        await asyncio.gather(sink.sweep(NOW), sink.sweep(NOW))
    assert moto_store.object_keys() == []


async def test_without_marks_there_is_no_request_more_and_nothing_is_swept(broken):
    async with sink_for(broken, marks=None) as sink:
        file = await upload(sink, b"content")
        await file.akeep()
        assert await sink.sweep(NOW) == []
        assert broken.requests == ["PUT"]


# Pace


async def test_at_most_max_concurrency_parts_are_on_their_way(moto_store):
    empty(moto_store)
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        sink_for(slow, max_concurrency=3) as sink,
    ):
        await upload(sink, os.urandom(8 * PART))
        assert slow.most_in_flight == 3


async def test_parts_that_do_not_fit_in_the_budget_wait(moto_store):
    empty(moto_store)
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        sink_for(slow, max_concurrency=4) as sink,
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


async def test_write_waits_while_the_store_takes_nothing(broken, moto_store):
    async with sink_for(broken, max_concurrency=1) as sink:
        release = asyncio.Event()
        body = broken._body

        async def held(request):
            if "partNumber" in request.query:
                await release.wait()
            return await body(request)

        broken._body = held
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(PART))
        await broken.wait_for("UploadPart 1")
        # One piece goes to obstore, and one waits in the stream.
        waiting = asyncio.create_task(writer.write(bytes(3 * MIB)))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done and writer.offset == 0
        release.set()
        await waiting
        await writer.abort()
    assert moto_store.uploads() == []
