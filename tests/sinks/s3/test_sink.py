"""What is particular to S3Sink: checksums, tags, its budget, its clients and its sweep."""

from __future__ import annotations

import asyncio
import base64
import datetime
import gc
import hashlib
import os
import sys
import warnings
import zlib

import pytest
from blockbuster import blockbuster_ctx
from django.test import override_settings

from djust_uploads.exceptions import InvalidSink, SinkError, SinkMisconfigured
from djust_uploads.flow.budget import budget
from djust_uploads.sinks import S3Sink
from djust_uploads.sinks.s3 import clients
from tests.support.buckets import ANY_AGE, MIB, PART, S3, SMALL, info, upload, write
from tests.support.faulty import faulty
from tests.support.s3_stores import empty, make_certificate


async def test_tags_of_the_application_stay(store):
    async with S3.sink(store, extra_args={"Tagging": "team=blue"}) as sink:
        for size in (SMALL, PART + 1):
            file = await upload(sink, bytes(size))
            assert store.tags(file.key) == {"team": "blue", "djust-upload": "unconsumed"}
            await file.akeep()
            assert store.tags(file.key) == {"team": "blue"}


@pytest.mark.parametrize("checksum", ["CRC32", "SHA256", None])
async def test_every_body_has_its_checksum_in_a_header_and_is_not_signed(
    moto_store, tmp_path, monkeypatch, checksum
):
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    small, large = os.urandom(SMALL), os.urandom(PART + 1)
    async with (
        faulty(moto_store.endpoint_url, certificate) as proxy,
        S3.sink(proxy, checksum=checksum) as sink,
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
    async with S3.sink(seaweedfs_store) as sink:
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


async def test_no_credentials_is_a_setting(monkeypatch, tmp_path):
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sink = S3Sink("media", region_name="us-east-1")
    with pytest.raises(SinkMisconfigured, match="Check aws_access_key_id"):
        await upload(sink, b"content")
    await sink.aclose()


# Objects of others, and the budget


@pytest.mark.parametrize("size", [SMALL, PART + 1])
async def test_an_object_that_appears_meanwhile_is_not_overwritten(seaweedfs_store, size):
    store = seaweedfs_store
    empty(store)
    async with S3.sink(store, upload_to=lambda upload: "fixed") as sink:
        writer = await sink.open(info(size))
        await write(writer, bytes(size))
        writer._check_key_free = lambda: asyncio.sleep(0)
        store.put("fixed", b"theirs")
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await writer.finish()
        await writer.abort()
    assert store.read("fixed") == b"theirs"
    assert store.uploads() == []


async def test_parts_beyond_the_first_share_the_budget(moto_store):
    """Two uploads and place for three parts: each may always have one on its way."""
    empty(moto_store)
    buffered = {"MAX_BUFFERED_BYTES": 2 * 3 * PART}
    async with (
        faulty(moto_store.endpoint_url, rate=80 * MIB) as slow,
        S3.sink(slow, max_concurrency=3) as sink,
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


# Closing


async def test_closing_the_sink_ends_what_is_on_its_way(broken, moto_store):
    data = os.urandom(3 * PART)
    async with S3.sink(broken) as sink:
        writer = await sink.open(info(len(data)))
        await writer.write(data[: 2 * PART])
        await broken.wait_for("UploadPart")
        await sink.aclose()
        assert writer._tasks == set()
        # The writer goes on when it is used again.
        await writer.write(data[2 * PART :])
        file = await writer.finish()
    assert moto_store.read(file.key) == data


# The sweep


async def test_the_sweep_aborts_multipart_uploads_of_ours(seaweedfs_store):
    # moto says of every multipart upload that it began in 2010.
    store, client = seaweedfs_store, seaweedfs_store.client()
    empty(store)
    async with S3.sink(store, upload_to="photos/%Y/") as sink:
        crashed = await sink.open(info(2 * PART))
        await crashed.write(bytes(PART))
        # A part that is on its way would land after the sweep.
        await crashed.flush()
        theirs = client.create_multipart_upload(Bucket="media", Key="photos/theirs.iso")
        assert await sink.sweep(datetime.timedelta(hours=1)) == []
        assert await sink.sweep(ANY_AGE, dry_run=True) == [crashed.key]
        assert await sink.sweep(ANY_AGE) == [crashed.key]
        assert await sink.sweep(ANY_AGE) == []
    assert store.uploads() == ["photos/theirs.iso"]
    client.abort_multipart_upload(
        Bucket="media", Key="photos/theirs.iso", UploadId=theirs["UploadId"]
    )


async def test_without_a_tag_nothing_is_tagged_and_no_object_swept(store):
    async with S3.sink(store, unconsumed_tag=None) as sink:
        file = await upload(sink, b"content")
        assert store.tags(file.key) == {}
        await file.akeep()
        assert await sink.sweep(ANY_AGE) == []


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


async def test_no_call_blocks_the_event_loop(seaweedfs_store):
    empty(seaweedfs_store)
    options = {"upload_to": "%Y/%m/", "content_disposition": "attachment"}
    async with S3.sink(seaweedfs_store, **options) as sink:
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
