"""GCSSink: what arrives, what is read, what is swept, on which threads."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import io
import json
import os
import threading
import urllib.request
import zipfile

import pytest
from blockbuster import blockbuster_ctx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.storage import FileSystemStorage
from PIL import Image

from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkUnavailable
from djust_uploads.sinks import GCSSink
from djust_uploads.sinks.gcs import bucket as gcs
from tests.support.buckets import MIB, SMALL, info, upload
from tests.support.gcs_stores import (
    DROPPED,
    TRUNCATED,
)
from tests.support.gcs_uploads import PART, crc32c, sink_for

# What arrives


@pytest.mark.parametrize(
    "size",
    [0, 1, PART - 1, PART, 5 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 64 * MIB + 3],
)
async def test_what_is_stored_is_what_was_written(store, size):
    data = os.urandom(size)
    async with sink_for(store, upload_to="photos/%Y/", chunk_size=8 * MIB) as sink:
        file = await upload(sink, data)
        assert hashlib.sha256(store.read(file.key)).digest() == hashlib.sha256(data).digest()
        assert store.keys() == [file.key]
        assert file.key.startswith(f"photos/{datetime.datetime.now():%Y}/")
        assert file.key.endswith("-cat.jpg")
        stat = store.stat(file.key)
        assert stat["contentType"] == file.content_type == "image/jpeg"
        assert file.metadata == {
            "bucket": "media",
            "key": file.key,
            "generation": stat["generation"],
            "crc32c": crc32c(data),
        }
        assert (file.size, file.name) == (size, "cat.jpg")
        assert stat["metadata"]["djust-upload-unconsumed"] == "true"
        await file.akeep()
        assert not store.stat(file.key)["metadata"].get("djust-upload-unconsumed")
        await file.adelete()
        assert store.keys() == []
        await file.adelete()


async def test_what_is_said_of_the_object(broken):
    options = {
        "cache_control": "max-age=60",
        "metadata": {"from": "tests"},
        "content_disposition": "attachment",
        "kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "predefined_acl": "publicRead",
        "custom_time": True,
    }
    async with sink_for(broken, **options) as sink:
        file = await upload(sink, bytes(PART + 1), name="schöne Katze.jpg")
        stat = broken.stat(file.key)
        assert stat["cacheControl"] == "max-age=60"
        assert stat["metadata"]["from"] == "tests"
        assert stat["contentDisposition"] == "attachment; filename*=utf-8''sch%C3%B6ne%20Katze.jpg"
        assert stat["customTime"].startswith(stat["timeCreated"][:10])
        begun = broken.queries[broken.requests.index("begin")]
        assert begun["kmsKeyName"] == options["kms_key_name"]
        assert begun["predefinedAcl"] == "publicRead"
        assert begun["ifGenerationMatch"] == "0"
        await file.akeep()
        kept = broken.stat(file.key)
        assert kept["metadata"] == {"from": "tests", "djust-upload": file.key[:32]}
        assert kept["customTime"] == gcs.NEVER


async def test_without_the_condition_and_without_marks(broken):
    broken.put("fixed", b"theirs")
    options = {"if_generation_match": None, "mark_unconsumed": False}
    async with sink_for(broken, upload_to=lambda upload: "fixed", **options) as sink:
        file = await upload(sink, b"ours")
        assert broken.read("fixed") == b"ours"
        stat = broken.stat("fixed")
        assert list(stat["metadata"]) == ["djust-upload"] and "customTime" not in stat
        await file.akeep()
        assert broken.count("patch") == 0


async def test_open_sends_nothing_and_the_last_bytes_carry_the_checksum(broken):
    data = os.urandom(2 * PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[:1000])
        assert broken.requests == []
        await writer.write(data[1000:])
        await writer.finish()
    assert broken.requests == ["begin", "put", "put", "put"]
    assert broken.headers[0]["X-Upload-Content-Length"] == str(len(data))
    hashes = [headers.get("X-Goog-Hash") for headers in broken.headers[1:]]
    assert hashes == [None, None, f"crc32c={crc32c(data)}"]


# The file


async def test_seeking_and_reading(store):
    data = os.urandom(2 * PART + 1)
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


async def test_pillow_zipfile_and_django_take_it(store, tmp_path):
    image, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(image, "PNG")
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("a", "first")
        writing.writestr("b", os.urandom(200_000))

    def use(picture, packed):
        with Image.open(picture) as opened:
            opened.load()
            assert opened.size == (600, 400)
        with zipfile.ZipFile(packed) as opened:
            assert opened.read("a") == b"first"
        name = FileSystemStorage(tmp_path).save("copy.png", picture)
        assert (tmp_path / name).read_bytes() == image.getvalue()

    async with sink_for(store) as sink:
        picture = await upload(sink, image.getvalue())
        packed = await upload(sink, archive.getvalue(), name="a.zip")
        await asyncio.to_thread(use, picture, packed)


async def test_on_an_event_loop_it_says_what_to_call_instead(store):
    async with sink_for(store) as sink:
        file = await upload(sink, b"content")
        for call in (file.read, lambda: next(iter(file.chunks())), lambda: list(file)):
            with pytest.raises(SynchronousOnlyOperation, match="aread"):
                call()
        assert await file.aread() == b"content"


async def test_an_object_that_was_replaced_is_neither_read_nor_deleted(broken):
    async with sink_for(broken) as sink:
        file = await upload(sink, b"a" * 200_000)
        assert await file.aread(10) == b"a" * 10
        broken.put(file.key, b"b" * 200_000)
        with pytest.raises(SinkError, match="404"):
            await file.aread()
        await file.akeep()
        await file.adelete()
        assert broken.read(file.key) == b"b" * 200_000


async def test_a_reader_goes_on_after_a_dropped_answer(broken):
    data = os.urandom(200_000)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        broken.faults["read"] = [DROPPED, TRUNCATED, 503]
        with pytest.raises(SinkUnavailable):
            await file.aread()
        broken.faults["read"] = [DROPPED, TRUNCATED]
        assert await file.aread() == data


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """A service account's key, that no Google knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("account") / "key.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "tests@example.com",
                "private_key": text.decode(),
                "token_uri": "http://127.0.0.1:1/token",
            }
        )
    )
    return str(path)


async def test_urls(gcs_emulator, account):
    gcs_emulator.empty()
    endpoint = gcs_emulator.url
    gcs_emulator.put("a b.jpg", b"content")
    signing = GCSSink("media", credentials=account, api_endpoint=endpoint, url_expires=60)
    url = await asyncio.to_thread(signing._bucket.url, "a b.jpg")
    assert "X-Goog-Expires=60&" in url and "X-Goog-Algorithm=GOOG4-RSA-SHA256" in url
    public = GCSSink("media", predefined_acl="publicRead", **gcs_emulator.options)
    assert public._bucket.url("a b.jpg") == f"{endpoint}/media/a%20b.jpg"

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return answer.read()

    for readable in (url, public._bucket.url("a b.jpg")):
        assert await asyncio.to_thread(get, readable) == b"content"
    for domain in ("cdn.example.com", "https://cdn.example.com/"):
        sink = GCSSink("media", custom_domain=domain)
        assert sink._bucket.url("ü/a b.jpg") == "https://cdn.example.com/%C3%BC/a%20b.jpg"
    with pytest.raises(SinkMisconfigured, match="can't sign URLs"):
        GCSSink("media", **gcs_emulator.options)._bucket.url("a b.jpg")


# The sweep


async def test_the_sweep_takes_what_is_abandoned_and_nothing_else(broken):
    now, later = datetime.timedelta(0), datetime.timedelta(hours=1)
    async with sink_for(broken, upload_to="photos/%Y/") as sink:
        kept = await upload(sink, b"kept")
        await kept.akeep()
        abandoned = await upload(sink, b"abandoned")
        broken.put("photos/theirs", b"theirs")
        assert await sink.sweep(later) == []
        assert await sink.sweep(now, dry_run=True) == [abandoned.key]
        assert await sink.sweep(now) == [abandoned.key]
        assert await sink.sweep(now) == []
    assert broken.keys() == sorted([kept.key, "photos/theirs"])


async def test_the_sweep_spares_what_is_consumed_meanwhile(broken):
    async with sink_for(broken) as sink:
        file = await upload(sink, b"content")
        page = sink._bucket.api.page

        def consumed_meanwhile(*args):
            listed = page(*args)
            sink._bucket.api.patch(file.key, file.metadata["generation"], {"metadata": {}})
            return listed

        sink._bucket.api.page = consumed_meanwhile
        await sink.sweep(datetime.timedelta(0))
    assert broken.keys() == [file.key]


# Threads


def gcs_threads():
    return [t for t in threading.enumerate() if t.name.startswith("djust-uploads-gcs")]


async def test_aclose_ends_the_threads_and_then_it_works_again(store):
    async with sink_for(store, threads=2) as sink:
        await asyncio.gather(*(upload(sink, bytes(SMALL)) for _ in range(5)))
        assert len(gcs_threads()) == 2
        await sink.aclose()
        await sink.aclose()
        assert gcs_threads() == []
        file = await upload(sink, b"2")
        assert await file.aread() == b"2"
    assert gcs_threads() == []


async def test_no_call_blocks_the_event_loop(store, account):
    async with sink_for(store, upload_to="%Y/", predefined_acl="publicRead") as sink:
        with blockbuster_ctx():
            for size in (SMALL, 2 * PART + 1):
                file = await upload(sink, bytes(size))
                assert file.url
                assert sum([len(chunk) async for chunk in file.achunks(MIB)]) == size
                await file.akeep()
                await file.adelete()
            writer = await sink.open(info(2 * PART))
            await writer.write(bytes(PART + 1))
            await writer.abort()
