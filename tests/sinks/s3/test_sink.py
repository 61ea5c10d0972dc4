"""S3Sink against moto, against SeaweedFS over TLS, and against a store that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import gc
import hashlib
import io
import json
import os
import ssl
import sys
import urllib.request
import warnings
import zipfile
import zlib

import pytest
from blockbuster import blockbuster_ctx
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.storage import FileSystemStorage
from django.test import override_settings
from PIL import Image

from djust_uploads import UploadInfo, checks
from djust_uploads.conf import sinks
from djust_uploads.exceptions import InvalidSink, SinkError, SinkMisconfigured, SinkUnavailable
from djust_uploads.flow.budget import budget
from djust_uploads.sinks import S3Sink
from djust_uploads.sinks.keys import literal_prefix, object_key
from djust_uploads.sinks.s3 import clients
from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.faulty import DROPPED, ERROR_IN_200, LOST, NO_ETAG, TRUNCATED, faulty
from tests.support.missing_extra import without
from tests.support.s3_stores import empty, make_certificate
from tests.support.servers import serve

MIB = 1024 * 1024
SMALL, PART = 1000, 5 * MIB


@contextlib.asynccontextmanager
async def sink_for(store, bucket="media", **options):
    sink = S3Sink(bucket, **{"part_size": PART, **store.options, **options})
    try:
        yield sink
    finally:
        await sink.aclose()


def info(size, name="cat.jpg", content_type="image/jpeg"):
    return UploadInfo("photos", name, name.replace(" ", "_"), "", content_type, size)


async def write(writer, data, chunk_size=64 * 1024):
    for start in range(0, len(data), chunk_size):
        await writer.write(data[start : start + chunk_size])


async def upload(sink, data, **kwargs):
    writer = await sink.open(info(len(data), **kwargs))
    await write(writer, data)
    return await writer.finish()


def stored(store, key):
    return store.client().get_object(Bucket="media", Key=key)["Body"].read()


def tags(store, key):
    answer = store.client().get_object_tagging(Bucket="media", Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


async def eventually(holds):
    """Wait for what happens in another process."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 (no event crosses processes)
            await asyncio.sleep(0.05)


# What arrives


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        *((size, 8 * MIB) for size in (0, 1, 5 * MIB - 1, 5 * MIB)),
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
        assert [file.key] == store.object_keys()
        assert file.key.startswith(f"photos/{datetime.datetime.now(datetime.UTC):%Y}/")
        assert file.key.endswith("-cat.jpg")
        head = store.client().head_object(Bucket="media", Key=file.key)
        assert head["ContentType"] == file.content_type == "image/jpeg"
        assert head["ETag"].count("-") == (size > part_size)
        assert file.metadata == {"bucket": "media", "key": file.key, "etag": head["ETag"]}
        assert (file.size, file.name) == (size, "cat.jpg")
        assert tags(store, file.key) == {"djust-upload": "unconsumed"}
        await file.akeep()
        assert tags(store, file.key) == {}
        await file.adelete()
        assert store.object_keys() == []
        await file.adelete()


async def test_what_is_said_of_the_object(store):
    options = {
        "extra_args": {
            "CacheControl": "max-age=60",
            "Metadata": {"from": "tests"},
            "Tagging": "team=blue",
        },
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
            assert tags(store, file.key) == {"team": "blue", "djust-upload": "unconsumed"}
            await file.akeep()
            assert tags(store, file.key) == {"team": "blue"}


@pytest.mark.parametrize("checksum", ["CRC32", "SHA256", None])
async def test_every_body_has_its_checksum_in_a_header_and_is_not_signed(
    moto_store, tmp_path, monkeypatch, checksum
):
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    small, large = os.urandom(SMALL), os.urandom(PART + 1)
    async with (
        faulty(moto_store.endpoint_url, certificate) as proxy,
        sink_for(proxy, checksum=checksum) as sink,
    ):
        await upload(sink, small)
        await upload(sink, large)
    bodies = {"PUT": small, "UploadPart 1": large[:PART], "UploadPart 2": large[PART:]}
    digests = {
        "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
        "SHA256": lambda body: hashlib.sha256(body).digest(),
    }
    for name, headers in zip(proxy.requests, proxy.headers, strict=True):
        # A store that refuses chunked bodies would have said 411.
        assert "Transfer-Encoding" not in headers and "X-Amz-Trailer" not in headers
        sums = {k.lower(): v for k, v in headers.items() if k.lower().startswith("x-amz-checksum")}
        if name in bodies:
            assert headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
            expected = {}
            if checksum:
                digest = base64.b64encode(digests[checksum](bodies[name])).decode()
                expected = {f"x-amz-checksum-{checksum.lower()}": digest}
            assert sums == expected
    assert proxy.count("Upload") == 2


async def test_a_body_that_does_not_fit_its_checksum_is_refused(seaweedfs_store, monkeypatch):
    empty(seaweedfs_store)
    wrong = lambda name: lambda chunks: bytes(4)  # noqa: E731
    monkeypatch.setattr("djust_uploads.sinks.s3.writer.load_checksum", wrong)
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    async with sink_for(seaweedfs_store) as sink:
        for size in (SMALL, PART + 1):
            writer = await sink.open(info(size))
            with pytest.raises(SinkError):
                await write(writer, os.urandom(size))
                await writer.finish()
            await writer.abort()
    assert seaweedfs_store.object_keys() == seaweedfs_store.uploads() == []


async def test_crc32c_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "awscrt", None)
    monkeypatch.setitem(sys.modules, "awscrt.checksums", None)
    with pytest.raises(InvalidSink, match="pip install awscrt"):
        S3Sink("media", checksum="CRC32C")


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
                opened.seek(size // 2)
                assert opened.read(3) == data[size // 2 : size // 2 + 3]
            assert b"".join(file.chunks()) == data

        await asyncio.to_thread(read)
        assert b"".join([chunk async for chunk in file.achunks()]) == data


async def test_an_empty_file_reads_without_a_request(broken):
    async with sink_for(broken) as sink:
        file = await upload(sink, b"")
        assert await file.aread() == b""
        assert broken.requests == ["PUT"]


async def test_pillow_zipfile_and_django_take_it(store, tmp_path):
    image = io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(image, "PNG")
    archive = io.BytesIO()
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


async def test_an_object_that_was_replaced_is_not_mixed_with_the_new_one(store):
    async with sink_for(store) as sink:
        file = await upload(sink, b"a" * 200_000)
        assert await file.aread(10) == b"a" * 10
        store.client().put_object(Bucket="media", Key=file.key, Body=b"b" * 200_000)
        with pytest.raises(SinkError, match="PreconditionFailed"):
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
    for domain in ("cdn.example.com", "https://cdn.example.com/"):
        public = S3Sink("media", upload_to=lambda upload: "ü/a b.jpg", custom_domain=domain)
        assert public._bucket.url("ü/a b.jpg") == "https://cdn.example.com/%C3%BC/a%20b.jpg"


# Ends


@pytest.mark.parametrize("written", [0, 10, PART, 2 * PART + 1, 3 * PART])
async def test_abort_leaves_nothing(store, written):
    async with sink_for(store) as sink:
        writer = await sink.open(info(3 * PART))
        await write(writer, os.urandom(written), 256 * 1024)
        await writer.abort()
        assert store.object_keys() == store.uploads() == []
        await writer.abort()


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"bucket": "nowhere"}, "Check bucket"),
        ({"aws_secret_access_key": "wrong"}, "Check aws_secret_access_key"),
        ({"aws_access_key_id": "wrong"}, "Check aws_access_key_id"),
        (
            {"aws_access_key_id": "reader", "aws_secret_access_key": "may only read"},
            "Check the permissions of aws_access_key_id",
        ),
    ],
)
@pytest.mark.parametrize("size", [SMALL, 3 * PART])
async def test_a_wrong_setting_fails_at_once_and_is_named(seaweedfs_store, wrong, setting, size):
    empty(seaweedfs_store)
    async with sink_for(seaweedfs_store, **wrong) as sink:
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match=setting):
            await write(writer, bytes(min(size, PART)))
            await writer.finish()
        await writer.abort()
        (message,) = await asyncio.to_thread(sink.check_store) or [None]
        assert message is None or message.id == "djust_uploads.E006"
        assert (message is None) == (wrong.get("aws_access_key_id") == "reader")
    assert seaweedfs_store.object_keys() == seaweedfs_store.uploads() == []


async def test_a_fatal_error_is_not_tried_again(broken):
    broken.faults["Create"] = ["AccessDenied"]
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        with pytest.raises(SinkMisconfigured):
            await writer.write(bytes(PART))
        await writer.abort()
    assert broken.requests == ["Create"]


async def test_nobody_there_is_retryable_and_names_the_endpoint(monkeypatch, moto_store):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    async with sink_for(moto_store, endpoint_url="http://127.0.0.1:1") as sink:
        with pytest.raises(SinkUnavailable, match="endpoint_url"):
            await upload(sink, b"content")


async def test_no_credentials_is_a_setting(monkeypatch, tmp_path):
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sink = S3Sink("media", region_name="us-east-1")
    with pytest.raises(SinkMisconfigured, match="Check aws_access_key_id"):
        await upload(sink, b"content")
    await sink.aclose()


# A store that misbehaves


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
async def test_however_the_end_is_answered_there_is_one_right_object(
    broken, moto_store, name, size, faults
):
    if name == "PUT" and ERROR_IN_200 in faults:
        faults = ["InternalError"]
    broken.faults[name] = list(faults)
    data = os.urandom(size)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
    assert moto_store.object_keys() == [file.key]
    assert stored(moto_store, file.key) == data
    assert moto_store.uploads() == []


@pytest.mark.parametrize("fault", ["ServiceUnavailable", ERROR_IN_200, LOST])
@pytest.mark.parametrize(("name", "size"), [("Complete", PART + 3), ("PUT", SMALL)])
@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"])
async def test_finish_may_be_called_again(
    broken, moto_store, monkeypatch, fault, name, size, upload_to
):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    fault = "InternalError" if name == "PUT" and fault == ERROR_IN_200 else fault
    data = os.urandom(size)
    async with sink_for(broken, upload_to=upload_to) as sink:
        writer = await sink.open(info(len(data)))
        await write(writer, data)
        if upload_to and name == "PUT":
            # That key is looked up before, too.
            broken.faults = {name: [fault], "HEAD": ["NoSuchKey", "InternalError"]}
        else:
            broken.faults = {name: [fault], "HEAD": ["InternalError"]}
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    assert stored(moto_store, file.key) == data


@pytest.mark.parametrize("fault", ["ServiceUnavailable", "AccessDenied", LOST])
@pytest.mark.parametrize(("name", "size"), [("Complete", PART + 3), ("PUT", SMALL)])
async def test_abort_after_an_end_that_nobody_knows_leaves_nothing(
    broken, moto_store, monkeypatch, name, size, fault
):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    # Where the answer leaves doubt, finish() asks what is there; it is not told.
    doubt = ["InternalError"] if fault != "AccessDenied" else []
    broken.faults = {name: [fault], "HEAD": doubt}
    async with sink_for(broken) as sink:
        writer = await sink.open(info(size))
        await write(writer, os.urandom(size))
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


@pytest.mark.parametrize("fault", ["InternalError", "AccessDenied", DROPPED])
async def test_a_middle_part_that_fails_is_a_clean_error(broken, moto_store, monkeypatch, fault):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    # The HTTP client repeats a request once if the connection was an old one.
    broken.faults["UploadPart 2"] = [fault] * 2
    data = os.urandom(6 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        with pytest.raises(SinkError):
            await write(writer, data, MIB)
            await writer.finish()
        assert writer.offset <= PART
        await writer.abort()
    assert broken.count("Complete") == 0
    assert moto_store.object_keys() == moto_store.uploads() == []


async def test_a_part_that_failed_is_sent_again_by_the_next_finish(broken, moto_store, monkeypatch):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    broken.faults["UploadPart 2"] = ["InternalError"]
    data = os.urandom(3 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        with pytest.raises(SinkUnavailable):
            await writer.finish()
        assert writer.offset == PART
        file = await writer.finish()
        assert writer.offset == len(data)
    assert stored(moto_store, file.key) == data
    assert sorted(broken.requests).count("UploadPart 2") == 2


async def test_a_multipart_upload_whose_id_got_lost_is_aborted(broken, moto_store):
    broken.faults["Create"] = [LOST]
    data = os.urandom(PART + 1)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        assert moto_store.uploads() == []
        assert stored(moto_store, file.key) == data
        broken.faults["Create"] = [LOST]
        writer = await sink.open(info(2 * PART))
        await writer.write(bytes(PART))
        await writer.abort()
    assert moto_store.uploads() == []


async def test_what_can_not_be_cleaned_up_does_not_undo_the_upload(broken, moto_store):
    broken.faults = {"Create": [LOST], "ListUploads": ["AccessDenied"]}
    data = os.urandom(PART + 1)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data)
        file = await writer.finish()
        assert await writer.finish() is file
    assert moto_store.object_keys() == [file.key]
    empty(moto_store)


async def test_a_store_without_conditional_writes_is_asked_without(broken, moto_store):
    broken.faults["PUT"] = ["NotImplemented"]
    async with sink_for(broken) as sink:
        file = await upload(sink, b"content")
        assert stored(moto_store, file.key) == b"content"
        await upload(sink, b"content")
        assert broken.requests == ["PUT", "PUT", "PUT"]
        assert ["If-None-Match" in headers for headers in broken.headers] == [True, False, False]


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


@pytest.mark.parametrize("size", [SMALL, PART + 1])
async def test_nor_one_that_appears_meanwhile(seaweedfs_store, size):
    store = seaweedfs_store
    empty(store)
    async with sink_for(store, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        await write(writer, bytes(size))
        writer._check_key_free = lambda: asyncio.sleep(0)
        store.client().put_object(Bucket="media", Key="fixed", Body=b"theirs")
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await writer.finish()
        await writer.abort()
    assert stored(store, "fixed") == b"theirs"
    assert store.uploads() == []


async def test_at_most_max_concurrency_parts_are_on_their_way(moto_store):
    empty(moto_store)
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        sink_for(slow, max_concurrency=3) as sink,
    ):
        await upload(sink, os.urandom(8 * PART))
        assert slow.most_in_flight == 3


async def test_parts_beyond_the_first_share_the_budget(moto_store):
    """Two uploads and place for three parts: each may always have one on its way."""
    empty(moto_store)
    buffered = {"MAX_BUFFERED_BYTES": 2 * 3 * PART}
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        sink_for(slow, max_concurrency=3) as sink,
    ):
        with override_settings(DJUST_UPLOADS=buffered):
            data = os.urandom(6 * PART)
            files = await asyncio.gather(upload(sink, data), upload(sink, data))
        assert 3 <= slow.most_in_flight <= 4
        with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 1}):
            slow.most_in_flight = 0
            files += [await upload(sink, data)]
        assert slow.most_in_flight == 1
        for file in files:
            assert await file.aread() == data
        assert budget.sending == 0


async def test_write_waits_while_max_concurrency_parts_are_on_their_way(broken, moto_store):
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
        waiting = asyncio.create_task(writer.write(bytes(PART)))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        assert writer.offset == 0
        release.set()
        await waiting
        await writer.abort()
    assert moto_store.uploads() == []


async def test_a_reader_goes_on_after_a_dropped_answer(broken):
    data = os.urandom(200_000)
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        broken.faults["GET"] = [DROPPED, TRUNCATED, "SlowDown"]
        assert await file.aread() == data


async def test_a_store_that_gives_no_etag_at_the_end(broken):
    data = os.urandom(PART + 1)
    broken.faults["Complete"] = [NO_ETAG]
    async with sink_for(broken) as sink:
        file = await upload(sink, data)
        assert file.metadata["etag"] == ""
        assert await file.aread() == data


# Closing


async def test_closing_the_sink_ends_what_is_on_its_way(broken, moto_store):
    data = os.urandom(3 * PART)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[: 2 * PART])
        await broken.wait_for("UploadPart")
        await sink.aclose()
        assert writer._tasks == set()
        # The writer goes on when it is used again.
        await writer.write(data[2 * PART :])
        file = await writer.finish()
    assert stored(moto_store, file.key) == data


# The sweep


async def test_the_sweep_takes_what_is_abandoned_and_nothing_else(seaweedfs_store):
    # moto says of every multipart upload that it began in 2010.
    store = seaweedfs_store
    empty(store)
    client, now, later = store.client(), datetime.timedelta(0), datetime.timedelta(hours=1)
    async with sink_for(store, upload_to="photos/%Y/") as sink:
        kept = await upload(sink, b"kept")
        await kept.akeep()
        abandoned = await upload(sink, b"abandoned")
        crashed = await sink.open(info(2 * PART))
        await crashed.write(bytes(PART))
        client.put_object(Bucket="media", Key="photos/theirs", Body=b"theirs")
        theirs = client.create_multipart_upload(Bucket="media", Key="photos/theirs.iso")
        # What is younger than a second may carry the same second's stamp.
        await asyncio.sleep(1.1)

        assert await sink.sweep(later) == []
        stale = sorted([abandoned.key, crashed.key])
        assert sorted(await sink.sweep(now, dry_run=True)) == stale
        assert sorted(await sink.sweep(now)) == stale
        assert await sink.sweep(now) == []
    assert sorted(store.object_keys()) == sorted([kept.key, "photos/theirs"])
    assert store.uploads() == ["photos/theirs.iso"]
    client.abort_multipart_upload(
        Bucket="media", Key="photos/theirs.iso", UploadId=theirs["UploadId"]
    )


async def test_without_a_tag_nothing_is_tagged_and_no_object_swept(store):
    async with sink_for(store, unconsumed_tag=None) as sink:
        file = await upload(sink, b"content")
        assert tags(store, file.key) == {}
        await file.akeep()
        await asyncio.sleep(1.1)
        assert await sink.sweep(datetime.timedelta(0)) == []


# Keys and options


def test_keys():
    upload = info(1, name="a b.jpg")
    today = datetime.datetime.now()
    assert object_key("in/%Y/%d", upload) == f"in/{today:%Y/%d}/{upload.key}-a_b.jpg"
    assert object_key("", upload) == f"{upload.key}-a_b.jpg"
    assert object_key(lambda upload: f"x/{upload.client_name}", upload) == "x/a b.jpg"
    assert literal_prefix("in/%Y/") == "in/"
    assert literal_prefix(lambda upload: "x") is None


@pytest.mark.parametrize("wrong", ["", "/absolute", "a/../b", None])
async def test_a_callable_that_makes_no_key_is_a_setting(wrong):
    with pytest.raises(SinkMisconfigured, match="upload_to"):
        await S3Sink("media", upload_to=lambda upload: wrong).open(info(1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "bucket"),
        ({"bucket": ""}, "bucket must be a bucket's name"),
        ({"bucket": "a/b"}, "bucket must be"),
        ({"bucket": "b", "upload_to": 3}, "upload_to must be a prefix or a callable"),
        ({"bucket": "b", "part_size": MIB}, "part_size must be 5 MiB to 5 GiB. Got: 1048576"),
        ({"bucket": "b", "max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"bucket": "b", "extra_args": {"Body": 1}}, r"extra_args must be of .*Got: \['Body'\]"),
        ({"bucket": "b", "content_disposition": "x"}, "content_disposition must be in"),
        ({"bucket": "b", "checksum": "MD5"}, "checksum must be in"),
        ({"bucket": "b", "url_expires": 604801}, "url_expires must be"),
        ({"bucket": "b", "addressing_style": "x"}, "addressing_style must be"),
        ({"bucket": "b", "unconsumed_tag": "x"}, "unconsumed_tag must be key=value"),
        ({"bucket": "b", "endpoint_url": "host"}, "endpoint_url must be"),
        ({"bucket": "b", "aws_access_key_id": "x"}, "aws_secret_access_key must be given with"),
        ({"bucket": "b", "colour": "x"}, "colour"),
    ],
)
def test_a_wrong_option_is_a_system_check(options, says):
    setting = {"SINKS": {"media": {"BACKEND": "djust_uploads.sinks.S3Sink", "OPTIONS": options}}}
    with override_settings(DJUST_UPLOADS=setting):
        with pytest.raises(InvalidSink, match=says):
            sinks["media"]
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.E001"]


def test_checks_of_the_settings_and_of_the_store(moto_store):
    def setting(**options):
        options = {**moto_store.options, "bucket": "media", **options}
        backend = "djust_uploads.sinks.S3Sink"
        return {"SINKS": {"media": {"BACKEND": backend, "OPTIONS": options}}}

    with override_settings(DJUST_UPLOADS=setting()):
        assert checks.check_sinks() == checks.check_stores() == []
    with override_settings(DJUST_UPLOADS=setting(bucket="nowhere")):
        assert checks.check_sinks() == []
        (message,) = checks.check_stores()
        assert message.id == "djust_uploads.E006" and "nowhere" in message.msg
    with override_settings(DJUST_UPLOADS=setting(endpoint_url="http://store.example.com")):
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.W006"]


def test_without_aioboto3_the_rest_works_and_the_sink_says_what_to_install():
    printed = without("aioboto3", "S3Sink", bucket="media")
    assert printed.count("pip install 'djust-uploads[s3]'") == 2
    assert "djust_uploads.E001" in printed
    imported = printed.splitlines()[-1].split()
    assert [name for name in imported if "boto" in name] == ["aioboto3"]


# Connections


def test_each_loop_has_one_client_which_ends_with_it(moto_store):
    sink = S3Sink("media", **moto_store.options)
    clients = []

    async def use():
        await asyncio.gather(upload(sink, b"1"), upload(sink, b"2"))
        clients.append(await sink._bucket._clients.get())
        assert await sink._bucket._clients.get() is clients[-1]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(use())
        asyncio.run(use())
        gc.collect()
    assert clients[0] is not clients[1]
    assert sink._bucket._clients._of_loops == {}
    assert [w.message for w in caught if issubclass(w.category, ResourceWarning)] == []


async def test_aclose_and_then_use(moto_store):
    async with sink_for(moto_store) as sink:
        await upload(sink, b"1")
        await sink.aclose()
        await sink.aclose()
        file = await upload(sink, b"2")
        assert await file.aread() == b"2"


async def test_no_call_blocks_the_event_loop(seaweedfs_store):
    empty(seaweedfs_store)
    options = {"upload_to": "%Y/%m/", "content_disposition": "attachment"}
    async with sink_for(seaweedfs_store, **options) as sink:
        await sink._bucket._clients.get()
        with blockbuster_ctx():
            for size in (SMALL, 2 * PART + 1):
                file = await upload(sink, bytes(size))
                assert file.url
                assert len([chunk async for chunk in file.achunks(MIB)]) == -(-size // MIB)
                await file.akeep()
                await file.adelete()
            writer = await sink.open(info(2 * PART))
            await writer.write(bytes(PART + 1))
            await writer.abort()


# Through a socket


@contextlib.asynccontextmanager
async def site(directory, options, **environ):
    environ["S3_OPTIONS"] = json.dumps({"bucket": "media", "part_size": PART, **options})
    server = serve("tests.sites.s3:application", directory / "uploads", **environ)
    running = await asyncio.to_thread(server.__enter__)
    try:
        yield running
    finally:
        # In a thread: to end well, the site may need the proxy, which runs on this loop.
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def page_of(server):
    async with UploadClient(server.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def test_through_a_socket(seaweedfs_store, tmp_path):
    store = seaweedfs_store
    empty(store)
    options = {**store.options, "upload_to": "in/"}
    async with site(tmp_path, options, AWS_CA_BUNDLE=store.ca_bundle) as server:
        async with page_of(server) as page:
            for size in (0, 1, 64 * 1024 + 1, 2 * PART + 3):
                data = os.urandom(size)
                ref = await page.upload("s3", "data.bin", data, "application/octet-stream")
                (key,) = (key for key in store.object_keys() if tags(store, key))
                await page.event("report", slot="s3")
                message = await page.wait_for(type="push_event", event="consumed")
                page.messages.remove(message)
                payload = message["payload"]
                assert payload["ref"] == ref
                assert payload["key"] == key and key.startswith("in/")
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                await eventually(lambda key=key: tags(store, key) == {})
                assert stored(store, key) == data
            # Complete, but never consumed.
            await page.upload("s3", "data.bin", b"content")
        await eventually(lambda: len(store.object_keys()) == 4)
    assert store.uploads() == []


async def test_an_async_handler_reads_it_and_gives_its_url(moto_store, tmp_path):
    empty(moto_store)
    async with site(tmp_path, moto_store.options) as server, page_of(server) as page:
        await page.upload("s3", "data.bin", b"content")
        await page.event("report_url", slot="s3")
        message = await page.wait_for(type="push_event", event="consumed")
        assert message["payload"]["size"] == 7

        def get():
            with urllib.request.urlopen(message["payload"]["url"]) as answer:
                return answer.read()

        assert await asyncio.to_thread(get) == b"content"


async def test_a_refused_file_is_not_one_request(broken, tmp_path):
    async with site(tmp_path, broken.options) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="content_mismatch"):
            await page.upload("png", "cat.png", b"MZ" + os.urandom(100_000), "image/png")
        assert broken.requests == []


@pytest.mark.parametrize("how", ["cancel", "disconnect", "complete too early", "silence"])
async def test_an_upload_that_ends_early_leaves_nothing(broken, moto_store, tmp_path, how):
    idle = {"IDLE_TIMEOUT": "0.5"} if how == "silence" else {}
    async with site(tmp_path, broken.options, **idle) as server:
        async with page_of(server) as page:
            ref = await page.register("s3", "data.bin", 4 * PART)
            await page.send_chunks(ref, os.urandom(3 * PART))
            await broken.wait_for("UploadPart")
            if how == "cancel":
                await page.cancel(ref)
            elif how == "complete too early":
                with pytest.raises(UploadFailed, match="size_mismatch"):
                    await page.complete(ref)
            elif how == "silence":
                with pytest.raises(UploadFailed, match="expired"):
                    await page.ended(ref)
        await broken.wait_for("Abort")
        await eventually(lambda: not moto_store.uploads() and not broken.in_flight)
    assert moto_store.object_keys() == []


async def test_a_slow_store_does_not_fill_the_memory(moto_store, tmp_path):
    empty(moto_store)
    part_size, concurrency = 8 * MIB, 2
    async with faulty(moto_store.endpoint_url, rate=40 * MIB) as slow:
        options = {**slow.options, "part_size": part_size, "max_concurrency": concurrency}
        async with site(tmp_path, options) as server, page_of(server) as page:
            # The SDK and libmagic read their files once.
            await page.upload("s3", "first.bin", b"content")
            idle = server.memory()
            server.reset_peak()
            await page.upload("big", "big.bin", bytes(72 * MIB), chunk_size=256 * 1024)
            assert server.peak_memory() - idle < (concurrency + 3) * part_size + 24 * MIB
