"""GCSSink against the emulator, and against one that does what the store does, and misbehaves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import traceback
import urllib.request
import zipfile

import google_crc32c
import pytest
from blockbuster import blockbuster_ctx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.storage import FileSystemStorage
from django.test import override_settings
from PIL import Image

from djust_uploads import UploadInfo, checks
from djust_uploads.conf import sinks
from djust_uploads.exceptions import (
    InvalidSink,
    NotResumable,
    SinkError,
    SinkMisconfigured,
    SinkUnavailable,
)
from djust_uploads.sinks import GCSSink, gcs
from djust_uploads.sinks.gcs_errors import status_of
from djust_uploads.sinks.gcs_writer import SessionLost
from djust_uploads.testing import UploadClient, UploadFailed
from tests.gcs_stores import (
    CORRUPT,
    DAMAGED,
    DROPPED,
    LOST,
    NOTHING,
    PARTIAL,
    TRUNCATED,
    emulator,
    proxy,
)
from tests.servers import ROOT, serve, wait_until

MIB = 1024 * 1024
SMALL, PART = 1000, 256 * 1024


@pytest.fixture(scope="session")
def gcs_emulator():
    with emulator() as store:
        yield store


@pytest.fixture(scope="session")
def gcs_proxy(gcs_emulator):
    with proxy(gcs_emulator) as store:
        yield store


@pytest.fixture(params=["emulator", "proxy"])
def store(request):
    """An empty bucket of each."""
    store = request.getfixturevalue(f"gcs_{request.param}")
    store.empty()
    return store


@pytest.fixture
def broken(gcs_proxy):
    """An empty bucket that breaks as told."""
    gcs_proxy.empty()
    gcs_proxy.reset()
    yield gcs_proxy
    gcs_proxy.gate.set()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(gcs, "PAUSE", 0)


@contextlib.asynccontextmanager
async def sink_for(store, bucket="media", **options):
    sink = GCSSink(bucket, **{"chunk_size": PART, **store.options, **options})
    try:
        yield sink
    finally:
        await sink.aclose()


def info(size, name="cat.jpg", content_type="image/jpeg"):
    return UploadInfo("photos", name, name.replace(" ", "_"), "", content_type, size)


async def write(writer, data, chunk_size=64 * 1024):
    for start in range(0, len(data), chunk_size):
        before = writer.offset
        await writer.write(data[start : start + chunk_size])
        assert before <= writer.offset


async def upload(sink, data, **kwargs):
    writer = await sink.open(info(len(data), **kwargs))
    await write(writer, data)
    return await writer.finish()


def crc32c(data):
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


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
    }
    async with sink_for(broken, **options) as sink:
        file = await upload(sink, bytes(PART + 1), name="schöne Katze.jpg")
        stat = broken.stat(file.key)
        assert stat["cacheControl"] == "max-age=60"
        assert stat["metadata"]["from"] == "tests"
        assert stat["contentDisposition"] == "attachment; filename*=utf-8''sch%C3%B6ne%20Katze.jpg"
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
    url = await asyncio.to_thread(signing.url, "a b.jpg")
    assert "X-Goog-Expires=60&" in url and "X-Goog-Algorithm=GOOG4-RSA-SHA256" in url
    public = GCSSink("media", predefined_acl="publicRead", **gcs_emulator.options)
    assert public.url("a b.jpg") == f"{endpoint}/media/a%20b.jpg"

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return answer.read()

    for readable in (url, public.url("a b.jpg")):
        assert await asyncio.to_thread(get, readable) == b"content"
    for domain in ("cdn.example.com", "https://cdn.example.com/"):
        sink = GCSSink("media", custom_domain=domain)
        assert sink.url("ü/a b.jpg") == "https://cdn.example.com/%C3%BC/a%20b.jpg"
    with pytest.raises(SinkMisconfigured, match="can't sign URLs"):
        GCSSink("media", **gcs_emulator.options).url("a b.jpg")


# Ends


@pytest.mark.parametrize("written", [0, 10, PART, 2 * PART + 1, 3 * PART])
async def test_abort_cancels_the_session_and_leaves_nothing(broken, written):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await write(writer, os.urandom(written))
        await writer.abort()
        await writer.abort()
        assert broken.keys() == broken.live_sessions() == []
        assert broken.count("cancel") == len(broken.sessions)


@pytest.mark.parametrize("size", [0, SMALL, 2 * PART + 1])
async def test_abort_after_finish_deletes_the_object(broken, size):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, bytes(size))
        await writer.finish()
        await writer.abort()
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_write_waits_while_a_part_is_on_its_way_and_one_is_gathered(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        broken.gate.clear()
        await writer.write(bytes(PART))
        await writer.write(bytes(PART - 1))
        assert await wait_until(lambda: broken.count("put") == 1)
        waiting = asyncio.create_task(writer.write(bytes(1)))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        assert writer.offset == 0 and broken.count("put") == 1
        broken.gate.set()
        await waiting
        assert writer.offset == PART
        await writer.abort()
    assert broken.live_sessions() == []


async def test_an_abort_after_a_cancelled_finish_waits_for_what_is_on_its_way(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(bytes(SMALL))
        broken.gate.clear()
        finishing = asyncio.create_task(writer.finish())
        assert await wait_until(lambda: broken.count("put") == 1)
        finishing.cancel()
        await asyncio.wait([finishing])
        aborting = asyncio.create_task(writer.abort())
        done, _ = await asyncio.wait([aborting], timeout=0.1)
        assert not done and broken.count("cancel") == 0
        broken.gate.set()
        await aborting
    assert broken.keys() == broken.live_sessions() == []


async def test_a_finish_after_a_cancelled_one_stores_one_object(broken):
    data = os.urandom(PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        await writer._landed()
        broken.gate.clear()
        finishing = asyncio.create_task(writer.finish())
        assert await wait_until(lambda: broken.count("put") == 2)
        finishing.cancel()
        await asyncio.wait([finishing])
        broken.gate.set()
        file = await writer.finish()
        assert await writer.finish() is file
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


# A store that misbehaves


@pytest.mark.parametrize(
    "faults",
    [
        [503],
        [429],
        [LOST],
        [DROPPED],
        [429, LOST],
        [DROPPED, 503, LOST],
        [NOTHING],
        [404],
        [410],
    ],
)
@pytest.mark.parametrize("size", [0, SMALL, PART])
async def test_however_the_end_is_answered_there_is_one_right_object(broken, size, faults):
    broken.faults["put"] = list(faults)
    data = os.urandom(size)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


@pytest.mark.parametrize("answer", [404, 410, 503, LOST])
async def test_a_lost_answer_to_the_end_and_a_session_that_is_gone_then(broken, answer):
    """Whatever the session says: the object is there, and ours."""
    broken.faults = {"put": [LOST], "query": [answer]}
    data = os.urandom(SMALL)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.count("begin") == 1
    assert broken.keys() == [file.key] and broken.read(file.key) == data


@pytest.mark.parametrize("fault", [503, LOST, DROPPED])
@pytest.mark.parametrize("size", [SMALL, 2 * PART + 3])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"])
async def test_finish_may_be_called_again(broken, monkeypatch, fault, size, upload_to):
    monkeypatch.setattr(gcs, "ATTEMPTS", 1)
    data = os.urandom(size)
    async with sink_for(broken, upload_to=upload_to) as sink:
        writer = await sink.open(info(size))
        await write(writer, data)
        await writer._landed()
        broken.faults["put"] = [fault]
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert broken.keys() == [file.key]
    assert broken.read(file.key) == data


@pytest.mark.parametrize("fault", [503, 403, LOST])
@pytest.mark.parametrize("size", [SMALL, PART + 3])
async def test_abort_after_an_end_that_nobody_knows_leaves_nothing(
    broken, monkeypatch, size, fault
):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        await writer._landed()
        monkeypatch.setattr(gcs, "ATTEMPTS", 1)
        broken.faults["put"] = [fault]
        with pytest.raises(SinkError):
            await writer.finish()
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_throttling_and_dropped_connections_are_tried_again(broken):
    broken.faults = {
        "begin": [429],
        "put": [429, DROPPED, LOST, 503, 408],
        "patch": [503],
        "delete": [LOST],
    }
    data = os.urandom(3 * PART + 3)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        assert broken.read(file.key) == data
        await file.akeep()
        await file.adelete()
    assert broken.keys() == []


async def test_it_is_not_tried_for_ever(broken):
    broken.faults["put"] = [NOTHING] * 100
    async with sink_for(broken) as sink:
        writer = await sink.open(info(PART))
        await writer.write(bytes(PART))
        with pytest.raises(SinkUnavailable, match="keeps nothing"):
            await writer.finish()
        assert broken.count("put") + broken.count("query") <= 2 * gcs.ATTEMPTS
        broken.faults.clear()
        await writer.abort()
    assert broken.live_sessions() == []


async def test_less_stored_than_sent_is_sent_from_there(broken):
    """The 308's Range is an offset behind what was sent."""
    broken.faults["put"] = [PARTIAL, PARTIAL, NOTHING, PARTIAL]
    data = os.urandom(8 * PART + 5)
    async with sink_for(broken, chunk_size=3 * PART) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[: 4 * PART])
        assert await wait_until(lambda: writer.offset == 3 * PART)
        await write(writer, data[4 * PART :])
        file = await writer.finish()
    ranges = [headers["Content-Range"] for headers in broken.headers if "Content-Range" in headers]
    assert ranges[:2] == [f"bytes {at}-{3 * PART - 1}/{len(data)}" for at in (0, 2 * PART)]
    assert broken.read(file.key) == data


async def test_offset_is_what_the_store_confirmed(broken):
    broken.faults["put"] = [PARTIAL, *[503] * 20]
    async with sink_for(broken, chunk_size=3 * PART) as sink:
        writer = await sink.open(info(8 * PART))
        await writer.write(bytes(3 * PART))
        await writer._landed()
        assert writer.offset == 2 * PART
        checkpoint = await writer.checkpoint()
        assert checkpoint["offset"] == 2 * PART
        with pytest.raises(SinkUnavailable):
            await writer.write(b"x")
        broken.faults.clear()
        await writer.abort()


@pytest.mark.parametrize("status", [404, 410])
async def test_a_session_that_is_gone_begins_again_while_all_bytes_are_here(broken, status):
    broken.faults["put"] = [status]
    data = os.urandom(2 * PART + 5)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert broken.count("begin") == 2
    assert broken.read(file.key) == data


@pytest.mark.parametrize("status", [404, 410, 499])
async def test_a_session_that_is_gone_later_is_a_clean_error(broken, status):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(PART))
        await writer._landed()
        broken.faults["put"] = [status]
        with pytest.raises(SessionLost, match="its session is gone"):
            await writer.write(bytes(3 * PART))
            await writer.finish()
        assert writer.offset == PART
        await writer.abort()
    assert broken.keys() == []


async def test_a_store_that_lost_what_it_confirmed_is_a_clean_error(broken):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(4 * PART))
        await writer.write(bytes(2 * PART))
        await writer._landed()
        (session,) = broken.sessions.values()
        del session.body[PART:]
        broken.faults["put"] = [503]
        with pytest.raises(SessionLost, match=f"has {PART} bytes, and had {2 * PART}"):
            await writer.write(bytes(PART))
            await writer._landed()
            await writer.write(bytes(PART))
        assert writer.offset == 2 * PART
        await writer.abort()


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
@pytest.mark.parametrize("fault", [CORRUPT, DAMAGED])
async def test_an_object_with_another_checksum_does_not_stay(broken, size, fault):
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
        await writer._landed()
        broken.faults["put"] = [fault]
        with pytest.raises(SinkError, match="CRC32C"):
            await writer.finish()
        assert broken.keys() == []
        await writer.abort()


@pytest.mark.parametrize("size", [SMALL, PART + 1])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_an_object_of_others_is_never_overwritten(broken, size, when):
    async with sink_for(broken, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        if when == "before":
            broken.put("fixed", b"theirs")
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await write(writer, bytes(size))
            if when == "meanwhile" and size == SMALL:
                await writer._begin()
            await writer._landed()
            if when == "meanwhile":
                broken.put("fixed", b"theirs")
            await writer.finish()
        await writer.abort()
    assert broken.read("fixed") == b"theirs"
    assert broken.live_sessions() == []


# Settings


@pytest.mark.parametrize(
    ("operation", "status", "setting"),
    [
        ("begin", 401, "Check credentials"),
        ("begin", 403, "Check what credentials may do"),
        ("begin", 404, "Check bucket"),
        ("begin", 400, "Check predefined_acl"),
        ("put", 403, "Check what credentials may do"),
    ],
)
async def test_a_wrong_setting_fails_at_once_and_is_named(broken, operation, status, setting):
    broken.faults[operation] = [status]
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        with pytest.raises(SinkMisconfigured, match=setting) as caught:
            await write(writer, bytes(3 * PART))
            await writer.finish()
        # After a 401 the SDK renews its token, if it can.
        assert status == 401 or status_of(caught.value) == status
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_a_bucket_that_is_not_there(store):
    async with sink_for(store, "nowhere") as sink:
        with pytest.raises(SinkMisconfigured, match="Check bucket"):
            await upload(sink, b"content")


async def test_nobody_there_is_retryable(gcs_emulator):
    async with sink_for(gcs_emulator, api_endpoint="http://127.0.0.1:1") as sink:
        with pytest.raises(SinkUnavailable):
            await upload(sink, b"content")


@pytest.mark.parametrize("credentials", ["/nowhere/key.json", None])
async def test_no_credentials_is_a_setting(monkeypatch, credentials):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/default.json")
    sink = GCSSink("media", credentials=credentials)
    with pytest.raises(SinkMisconfigured, match="Check credentials"):
        await upload(sink, b"content")
    await sink.aclose()


@pytest.mark.parametrize("fault", [DROPPED, LOST, 403, 404, 500])
async def test_the_session_uri_is_never_said(broken, monkeypatch, caplog, fault):
    monkeypatch.setattr(gcs, "ATTEMPTS", 1)
    caplog.set_level(logging.DEBUG)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await writer.write(bytes(PART))
        await writer._landed()
        for operation in ("put", "query", "cancel"):
            broken.faults[operation] = [fault]
        with pytest.raises(SinkError) as caught:
            await writer.write(bytes(2 * PART))
            await writer.finish()
        (uri,) = broken.sessions
        said = caplog.text + "".join(traceback.format_exception(caught.value))
        assert "upload_id=…" in said
        assert uri.rpartition(" ")[2] not in urllib.request.unquote(said)
        broken.faults.clear()
        await writer.abort()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "bucket"),
        ({"bucket": "a/b"}, "bucket must be a bucket's name"),
        ({"bucket": "b", "upload_to": 3}, "upload_to must be a prefix or a callable"),
        ({"bucket": "b", "chunk_size": 1}, "chunk_size must be a multiple of 256 KiB. Got: 1"),
        ({"bucket": "b", "chunk_size": 0}, "chunk_size must be"),
        ({"bucket": "b", "predefined_acl": "x"}, "predefined_acl must be in"),
        ({"bucket": "b", "metadata": {"a": 1}}, "metadata must be a dict of strings"),
        ({"bucket": "b", "content_disposition": "x"}, "content_disposition must be in"),
        ({"bucket": "b", "if_generation_match": 5}, "if_generation_match must be 0, None"),
        ({"bucket": "b", "url_expires": 604801}, "url_expires must be"),
        ({"bucket": "b", "api_endpoint": "host"}, "api_endpoint must be"),
        ({"bucket": "b", "threads": 0}, "threads must be"),
        ({"bucket": "b", "colour": "x"}, "colour"),
    ],
)
def test_a_wrong_option_is_a_system_check(options, says):
    setting = {"SINKS": {"media": {"BACKEND": "djust_uploads.sinks.GCSSink", "OPTIONS": options}}}
    with override_settings(DJUST_UPLOADS=setting):
        with pytest.raises(InvalidSink, match=says):
            sinks["media"]
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.E001"]


def test_checks_of_the_store(broken):
    def setting(bucket):
        options = {"bucket": bucket, **broken.options}
        backend = "djust_uploads.sinks.GCSSink"
        return {"SINKS": {"media": {"BACKEND": backend, "OPTIONS": options}}}

    with override_settings(DJUST_UPLOADS=setting("media")):
        assert checks.check_sinks() == checks.check_stores() == []
        asyncio.run(sinks["media"].aclose())
    with override_settings(DJUST_UPLOADS=setting("nowhere")):
        (message,) = checks.check_stores()
        assert message.id == "djust_uploads.E006" and "nowhere" in message.msg
        asyncio.run(sinks["media"].aclose())
    sink = GCSSink("media", **broken.options)
    sink.api.permissions = lambda wanted: {"storage.objects.create"}
    (message,) = sink.check_store()
    assert "credentials lack storage.objects.delete" in message.msg


def test_without_the_sdk_the_rest_works_and_the_sink_says_what_to_install():
    script = """
import sys
sys.modules["google.cloud"] = None
import django
from django.conf import settings
settings.configure(DJUST_UPLOADS={"SINKS": {
    "media": {"BACKEND": "djust_uploads.sinks.GCSSink", "OPTIONS": {"bucket": "media"}},
}}, INSTALLED_APPS=["djust_uploads"])
django.setup()
from djust_uploads.conf import sinks
from django.core.management import call_command
assert sinks["default"].keeps_files is False
for use in (lambda: sinks["media"], lambda: call_command("check")):
    try:
        use()
    except Exception as exc:
        print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.count("pip install 'djust-uploads[gcs]'") == 2
    assert "djust_uploads.E001" in done.stdout


# Resuming


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
        page = sink.api.page

        def consumed_meanwhile(*args):
            listed = page(*args)
            sink.api.patch(file.key, file.metadata["generation"], {"metadata": {}})
            return listed

        sink.api.page = consumed_meanwhile
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


# Through a socket


@contextlib.asynccontextmanager
async def site(directory, store):
    options = json.dumps(
        {
            "bucket": "media",
            "chunk_size": PART,
            "upload_to": "in/",
            "predefined_acl": "publicRead",
        }
    )
    environ = {"GCS_OPTIONS": options, "STORAGE_EMULATOR_HOST": store.url}
    server = serve("tests.sites.gcs:application", directory / "uploads", **environ)
    running = await asyncio.to_thread(server.__enter__)
    try:
        yield running
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def page_of(server):
    async with UploadClient(server.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def eventually(holds):
    """Wait for what happens in another process."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 (no event crosses processes)
            await asyncio.sleep(0.05)


async def test_through_a_socket(store, tmp_path):
    async with site(tmp_path, store) as server:
        async with page_of(server) as page:
            for size in (0, 1, PART - 1, PART, 5 * MIB + 3):
                data = os.urandom(size)
                ref = await page.upload("gcs", "data.bin", data, "application/octet-stream")
                await page.event("report", slot="gcs")
                message = await page.wait_for(type="push_event", event="consumed")
                page.messages.remove(message)
                payload = message["payload"]
                assert payload["ref"] == ref and payload["key"].startswith("in/")
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                key = payload["key"]
                await eventually(
                    lambda key=key: not store.stat(key)["metadata"].get("djust-upload-unconsumed")
                )
                assert store.read(key) == data
            # Complete, but never consumed.
            await page.upload("gcs", "data.bin", b"content")
        await eventually(lambda: len(store.keys()) == 5)


async def test_an_async_handler_reads_it_and_gives_its_url(store, tmp_path):
    async with site(tmp_path, store) as server, page_of(server) as page:
        await page.upload("gcs", "data.bin", b"content")
        await page.event("report_read", slot="gcs")
        message = await page.wait_for(type="push_event", event="consumed")
        assert message["payload"]["size"] == 7
        assert message["payload"]["url"].startswith(f"{store.url}/media/in/")


async def test_a_refused_file_is_not_one_request(broken, tmp_path):
    async with site(tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="content_mismatch"):
            await page.upload("png", "cat.png", b"MZ" + os.urandom(100_000), "image/png")
        assert broken.requests == []


@pytest.mark.parametrize("how", ["cancel", "disconnect", "complete too early"])
async def test_an_upload_that_ends_early_leaves_nothing(broken, tmp_path, how):
    async with site(tmp_path, broken) as server:
        async with page_of(server) as page:
            ref = await page.register("gcs", "data.bin", 4 * PART)
            await page.send_chunks(ref, os.urandom(3 * PART))
            assert await wait_until(lambda: broken.count("put"), 10)
            if how == "cancel":
                await page.cancel(ref)
            elif how == "complete too early":
                with pytest.raises(UploadFailed, match="size_mismatch"):
                    await page.complete(ref)
        await eventually(lambda: broken.count("cancel"))
        await eventually(lambda: not broken.live_sessions())
    assert broken.keys() == []
