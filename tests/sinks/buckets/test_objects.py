"""The objects that a sink stores, and the files that it returns."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import io
import os
import ssl
import urllib.request
import zipfile

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.storage import FileSystemStorage
from PIL import Image

from djust_uploads.exceptions import SinkError, SinkMisconfigured
from tests.support.buckets import ANY_AGE, PART, SMALL, info, upload, write
from tests.support.s3_stores import empty

# What is stored


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 6 * PART + 3])
async def test_what_is_stored_is_what_was_written(kind, store, size):
    data = os.urandom(size)
    async with kind.sink(store, upload_to="photos/%Y/") as sink:
        file = await upload(sink, data)
        assert kind.objects(store) == kind.unconsumed(store) == [file.key]
        assert hashlib.sha256(store.read(file.key)).digest() == hashlib.sha256(data).digest()
        assert file.key.startswith(f"photos/{datetime.datetime.now(datetime.UTC):%Y}/")
        assert file.key.endswith("-cat.jpg")
        head = store.head(file.key)
        assert head["ContentType"] == file.content_type == "image/jpeg"
        assert head["ETag"].count("-") == (size > PART)
        assert file.metadata == {"bucket": "media", "key": file.key, "etag": head["ETag"]}
        assert (file.size, file.name) == (size, "cat.jpg")
        for _ in range(2):
            await file.akeep()
            assert store.object_keys() == [file.key]
            assert kind.unconsumed(store) == []
        for _ in range(2):
            await file.adelete()
            assert store.object_keys() == []


async def test_parts_may_be_larger(kind, moto_store):
    empty(moto_store)
    data = os.urandom(8 * 1024 * 1024 + 1)
    async with kind.sink(moto_store, part_size=len(data) - 1) as sink:
        file = await upload(sink, data)
        assert moto_store.head(file.key)["ETag"].endswith('-2"')
        assert moto_store.read(file.key) == data


async def test_what_is_said_of_the_object(kind, store):
    async with kind.sink(store, content_disposition="attachment", **kind.described) as sink:
        for size in (SMALL, PART + 1):
            file = await upload(sink, bytes(size), name="schöne Katze.jpg")
            head = store.head(file.key)
            assert head["CacheControl"] == "max-age=60"
            assert head["Metadata"]["from"] == "tests"
            assert head["ContentDisposition"] == (
                "attachment; filename*=utf-8''sch%C3%B6ne%20Katze.jpg"
            )


@pytest.mark.parametrize("wrong", ["", "/absolute", "a/../b", None])
async def test_a_callable_that_makes_no_key_is_a_setting(kind, moto_store, wrong):
    async with kind.sink(moto_store, upload_to=lambda upload: wrong) as sink:
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await sink.open(info(1))


@pytest.mark.parametrize("size", [SMALL, PART + 1])
async def test_an_object_of_others_is_never_overwritten(kind, store, size):
    store.put("fixed", b"theirs")
    async with kind.sink(store, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await write(writer, bytes(size))
            await writer.finish()
        await writer.abort()
    assert store.read("fixed") == b"theirs"
    assert store.object_keys() == ["fixed"]


@pytest.mark.parametrize("written", [0, 10, PART, 2 * PART + 1, 3 * PART])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"], ids=["", "guessable"])
async def test_abort_leaves_nothing(kind, store, written, upload_to):
    async with kind.sink(store, upload_to=upload_to) as sink:
        writer = await sink.open(info(3 * PART))
        await write(writer, bytes(written), 256 * 1024)
        for _ in range(2):
            await writer.abort()
            assert store.object_keys() == store.uploads() == []


async def test_aclose_and_then_use(kind, moto_store):
    empty(moto_store)
    data = os.urandom(2 * PART)
    async with kind.sink(moto_store) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:PART])
        await sink.aclose()
        await sink.aclose()
        # What was under way goes on, and what is new begins.
        await writer.write(data[PART:])
        file = await writer.finish()
        assert await file.aread() == data
        another = await upload(sink, b"2")
        assert await another.aread() == b"2"
        await another.adelete()
        await file.adelete()
    assert moto_store.object_keys() == []


# The file


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
async def test_seeking_and_reading(kind, store, size):
    data = os.urandom(size)
    async with kind.sink(store) as sink:
        file = await upload(sink, data)

        def read():
            with file.open() as opened:
                assert opened.read(10) == data[:10]
                opened.seek(-5, io.SEEK_END)
                assert opened.read() == data[-5:]
                opened.seek(size // 2)
                assert opened.read(3) == data[size // 2 : size // 2 + 3]
            assert b"".join(file.chunks()) == data

        await asyncio.to_thread(read)
        assert b"".join([chunk async for chunk in file.achunks()]) == data


async def test_an_empty_file_is_read_without_a_request(kind, broken):
    async with kind.sink(broken, **kind.unmarked) as sink:
        file = await upload(sink, b"")
        assert await file.aread() == b""
        assert broken.requests == ["PUT"]


async def test_pillow_zipfile_and_django_take_it(kind, store, tmp_path):
    image, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(image, "PNG")
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("a", "first")
        writing.writestr("b", os.urandom(200_000))
    storage = FileSystemStorage(tmp_path)

    def use(picture, packed):
        with Image.open(picture) as opened:
            opened.load()
            assert opened.size == (600, 400)
        with zipfile.ZipFile(packed) as opened:
            assert opened.namelist() == ["a", "b"]
            assert opened.read("a") == b"first"
        name = storage.save("copy.png", picture)
        assert (tmp_path / name).read_bytes() == image.getvalue()

    async with kind.sink(store) as sink:
        picture = await upload(sink, image.getvalue())
        packed = await upload(sink, archive.getvalue(), name="a.zip")
        await asyncio.to_thread(use, picture, packed)


async def test_on_an_event_loop_it_says_what_to_call_instead(kind, store):
    async with kind.sink(store) as sink:
        file = await upload(sink, b"content")
        read_again = lambda: file.open().read()  # noqa: E731
        for call in (file.read, lambda: next(iter(file.chunks())), lambda: list(file), read_again):
            with pytest.raises(SynchronousOnlyOperation, match="aread"):
                call()
        assert await file.aread() == b"content"


async def test_an_object_that_was_replaced_is_not_mixed_with_the_new_one(kind, store):
    async with kind.sink(store) as sink:
        file = await upload(sink, b"a" * 200_000)
        assert await file.aread(10) == b"a" * 10
        store.put(file.key, b"b" * 200_000)
        with pytest.raises(SinkError, match=r"PreconditionFailed|412"):
            await file.aread()


async def test_a_signed_url_works(kind, store):
    context = ssl.create_default_context(cafile=store.ca_bundle)
    async with kind.sink(store, url_expires=60, content_disposition="inline") as sink:
        file = await upload(sink, b"content", name="a b.jpg")
        assert "X-Amz-Expires=60" in file.url

        def get():
            with urllib.request.urlopen(file.url, context=context) as answer:
                return answer.read(), answer.headers

        body, headers = await asyncio.to_thread(get)
    assert body == b"content"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Disposition"] == 'inline; filename="a b.jpg"'


@pytest.mark.parametrize("domain", ["cdn.example.com", "https://cdn.example.com/"])
async def test_the_url_of_a_public_host_is_plain(kind, store, domain):
    key = "ü/a b.jpg"
    async with kind.sink(store, upload_to=lambda upload: key, custom_domain=domain) as sink:
        file = await upload(sink, b"content")
        assert file.url == "https://cdn.example.com/%C3%BC/a%20b.jpg"
        assert store.read(key) == await file.aread() == b"content"


# The sweep


async def test_the_sweep_takes_what_is_abandoned_and_nothing_else(kind, store):
    async with kind.sink(store, upload_to="photos/%Y/") as sink:
        consumed = await upload(sink, b"kept")
        await consumed.akeep()
        abandoned = await upload(sink, b"abandoned")
        store.put("photos/theirs", b"theirs")
        assert await sink.sweep(datetime.timedelta(hours=1)) == []
        assert await sink.sweep(ANY_AGE, dry_run=True) == [abandoned.key]
        assert await sink.sweep(ANY_AGE) == [abandoned.key]
        assert await sink.sweep(ANY_AGE) == []
    assert sorted(store.object_keys()) == sorted([consumed.key, "photos/theirs"])
