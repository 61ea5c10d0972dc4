"""entry.save() and asave(): a link in the same folder, a copy that S3 makes itself, or a stream."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from pathlib import Path

import pytest
from botocore.exceptions import HTTPClientError
from django.core.exceptions import SuspiciousFileOperation, SynchronousOnlyOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, default_storage
from django.test import override_settings
from storages.backends.s3 import S3Storage

from djust_uploads.exceptions import SinkError
from djust_uploads.sinks import MemorySink, StorageSink, TemporaryFileSink
from djust_uploads.sinks.s3 import copying as s3_copy
from tests.slots.test_entry import make
from tests.support.buckets import PART, S3, SMALL, eventually, page_of, site, upload
from tests.support.faulty import NO_ETAG
from tests.support.s3_stores import KEYS, empty, make_bucket


def entry_of(file):
    """A complete entry with that file."""
    entry = make(file.size)
    entry.finalize()
    entry.store(file, keeps_file=True)
    entry.finish()
    return entry


def storage_on(store, storage_class=S3Storage, **options):
    """django-storages' storage in the bucket of a store."""
    keys = {"access_key": KEYS["aws_access_key_id"], "secret_key": KEYS["aws_secret_access_key"]}
    own = {"bucket_name": "media", "addressing_style": "path", "location": "public", **keys}
    return storage_class(
        **{**own, "endpoint_url": store.endpoint_url, "region_name": "us-east-1", **options}
    )


def recorded(*clients):
    """The names of what those clients ask for from now on."""
    requests = []
    for client in clients:
        client.meta.events.register(
            "before-call.s3", lambda model, **kwargs: requests.append(model.name)
        )
    return requests


def clients_of(sink, storage):
    return sink._bucket._clients.blocking(), storage.bucket.meta.client


def head(store, key, bucket="media"):
    return store.client().head_object(Bucket=bucket, Key=key)


@pytest.fixture
def in_parts(monkeypatch):
    """What S3 does above 5 GB, above 5 MiB."""
    monkeypatch.setattr(s3_copy, "COPY_LIMIT", PART)
    monkeypatch.setattr(s3_copy, "COPY_PART", PART)


# From a bucket into django-storages' S3


async def test_the_store_makes_the_copy(store):
    storage = storage_on(store, object_parameters={"CacheControl": "max-age=60"})
    data = os.urandom(SMALL)
    async with S3.sink(store) as sink:
        file = await upload(sink, data)
        requests = recorded(*clients_of(sink, storage))
        assert await entry_of(file).asave("photos/first", storage) == "photos/first"
        assert sorted(requests) == ["CopyObject", "HeadObject"]
        assert store.read("public/photos/first") == data
        copy = head(store, "public/photos/first")
        assert (copy["ContentType"], copy["CacheControl"]) == ("image/jpeg", "max-age=60")
        # Neither whose upload it was, nor that nobody consumed it: a sweep would take it.
        assert copy["Metadata"] == store.tags("public/photos/first") == {}
        assert store.read(file.key) == data
        assert store.tags(file.key) == {"djust-upload": "unconsumed"}
        await file.adelete()
    assert store.object_keys() == ["public/photos/first"]


@pytest.mark.parametrize(("size", "parts"), [(PART, 0), (PART + 1, 2), (2 * PART + 3, 3)])
async def test_a_large_object_is_copied_in_parts(store, in_parts, size, parts):
    storage = storage_on(store, object_parameters={"CacheControl": "max-age=60"})
    data = os.urandom(size)
    async with S3.sink(store) as sink:
        file = await upload(sink, data)
        requests = recorded(*clients_of(sink, storage))
        await entry_of(file).asave("big.jpg", storage)
    assert requests.count("UploadPartCopy") == parts
    assert requests.count("CopyObject") == (not parts)
    assert not {"GetObject", "PutObject", "UploadPart"}.intersection(requests)
    assert store.read("public/big.jpg") == data
    copy = head(store, "public/big.jpg")
    assert (copy["ContentType"], copy["CacheControl"]) == ("image/jpeg", "max-age=60")
    assert copy["Metadata"] == store.tags("public/big.jpg") == {}


async def test_a_name_that_is_taken_gives_another(store):
    storage = storage_on(store, file_overwrite=False)
    async with S3.sink(store) as sink:
        names = []
        for content in (b"first", b"second"):
            file = await upload(sink, content)
            requests = recorded(*clients_of(sink, storage))
            names.append(await entry_of(file).asave(storage=storage))
            assert "CopyObject" in requests and "GetObject" not in requests
    assert names[0] == "cat.jpg" and names[1].startswith("cat_")
    contents = [store.read(f"public/{name}") for name in names]
    assert contents == [b"first", b"second"]


async def test_into_another_bucket_with_an_acl_and_tags(moto_store):
    empty(moto_store)
    moto_store.client().create_bucket(Bucket="archive")
    storage = storage_on(
        moto_store,
        bucket_name="archive",
        location="",
        default_acl="public-read",
        object_parameters={"Tagging": "team=blue", "Metadata": {"from": "tests"}},
    )
    async with S3.sink(moto_store) as sink:
        file = await upload(sink, b"content")
        requests = recorded(*clients_of(sink, storage))
        assert await entry_of(file).asave("a/b.jpg", storage) == "a/b.jpg"
    assert "CopyObject" in requests and "GetObject" not in requests
    client = moto_store.client()
    assert head(moto_store, "a/b.jpg", "archive")["Metadata"] == {"from": "tests"}
    tagging = client.get_object_tagging(Bucket="archive", Key="a/b.jpg")["TagSet"]
    assert tagging == [{"Key": "team", "Value": "blue"}]
    grants = client.get_object_acl(Bucket="archive", Key="a/b.jpg")["Grants"]
    assert "READ" in [grant["Permission"] for grant in grants if "URI" in grant["Grantee"]]


async def test_default_storage_is_seen_through(moto_store):
    empty(moto_store)
    keys = {"access_key": "a", "secret_key": "b", "region_name": "us-east-1"}
    place = {"endpoint_url": moto_store.endpoint_url, "bucket_name": "media", "location": "public"}
    configured = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {**keys, **place}}
    async with S3.sink(moto_store) as sink:
        file = await upload(sink, b"content")
        with override_settings(STORAGES={"default": configured}):
            requests = recorded(*clients_of(sink, default_storage))
            assert await entry_of(file).asave() == "cat.jpg"
    assert "CopyObject" in requests and "GetObject" not in requests
    assert moto_store.read("public/cat.jpg") == b"content"


@pytest.mark.parametrize("name", ["../cat.jpg", "/etc/cat.jpg"])
async def test_a_name_that_leads_out_is_refused(moto_store, name):
    empty(moto_store)
    async with S3.sink(moto_store) as sink:
        file = await upload(sink, b"content")
        with pytest.raises(SuspiciousFileOperation):
            await entry_of(file).asave(name, storage_on(moto_store))
        assert moto_store.object_keys() == [file.key]


async def test_a_handler_saves_what_it_consumes_through_a_socket(broken, moto_store, tmp_path):
    async with site(tmp_path, "S3Sink", S3.options_for(broken)) as server, page_of(server) as page:
        await page.upload("files", "data.bin", b"\x00content")
        broken.requests.clear()
        await page.event("copy")
        saved = (await page.wait_for(type="push_event", event="copied"))["payload"]
        await eventually(lambda: moto_store.tags(saved["key"]) == {})
    assert saved["name"] == "copied.bin"
    assert broken.count("GET") == 0 and broken.count("PUT") == 1
    # The sink keeps its file; without the tag neither is swept.
    assert set(moto_store.object_keys()) == {saved["key"], "public/copied.bin"}
    assert moto_store.tags("public/copied.bin") == {}
    assert moto_store.read("public/copied.bin") == b"\x00content"


# … or else a stream


async def test_another_service_gets_a_stream(moto_store, seaweedfs_store):
    empty(moto_store)
    empty(seaweedfs_store)
    storage = storage_on(seaweedfs_store)
    async with S3.sink(moto_store) as sink:
        file = await upload(sink, b"content")
        requests = recorded(*clients_of(sink, storage))
        await entry_of(file).asave("cat.jpg", storage)
    assert requests == ["PutObject", "GetObject"]
    assert seaweedfs_store.read("public/cat.jpg") == b"content"
    assert head(seaweedfs_store, "public/cat.jpg")["ContentType"] == "image/jpeg"


async def test_credentials_that_may_not_read_the_source_get_a_stream(seaweedfs_store):
    store = seaweedfs_store
    empty(store)
    await asyncio.to_thread(make_bucket, store, "archive")
    keys = {"access_key": "archivist", "secret_key": "its own only"}
    storage = storage_on(store, bucket_name="archive", location="", **keys)
    async with S3.sink(store) as sink:
        file = await upload(sink, b"content")
        requests = recorded(*clients_of(sink, storage))
        assert await entry_of(file).asave("cat.jpg", storage) == "cat.jpg"
    assert "CopyObject" not in requests and "GetObject" in requests
    answer = store.client().get_object(Bucket="archive", Key="cat.jpg")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"content", "image/jpeg")


async def test_a_store_without_copies_gets_a_stream(broken, moto_store, caplog):
    storage = storage_on(broken)
    async with S3.sink(broken) as sink:
        file = await upload(sink, b"content")
        broken.requests.clear()
        broken.faults["PUT"] = ["NotImplemented"]
        with caplog.at_level(logging.INFO, "djust_uploads"):
            assert await entry_of(file).asave("cat.jpg", storage) == "cat.jpg"
    assert broken.requests == ["HEAD", "PUT", "GET", "PUT"]
    assert "is streamed" in caplog.text
    assert moto_store.read("public/cat.jpg") == b"content"


async def test_a_copy_in_parts_that_fails_leaves_no_parts(broken, moto_store, in_parts):
    storage = storage_on(broken)
    data = os.urandom(2 * PART)
    async with S3.sink(broken) as sink:
        file = await upload(sink, data)
        broken.faults["UploadPart 2"] = ["AccessDenied"]
        broken.requests.clear()
        await entry_of(file).asave("cat.jpg", storage)
    assert broken.count("Abort") == 1 and broken.count("GET") > 0
    assert moto_store.uploads() == []
    assert moto_store.read("public/cat.jpg") == data


async def test_without_an_etag_it_is_a_stream(broken, moto_store):
    broken.faults["Complete"] = [NO_ETAG]
    storage = storage_on(broken)
    data = os.urandom(PART + 1)
    async with S3.sink(broken) as sink:
        file = await upload(sink, data)
        requests = recorded(*clients_of(sink, storage))
        await entry_of(file).asave("cat.jpg", storage)
    assert "CopyObject" not in requests and "GetObject" in requests
    assert moto_store.read("public/cat.jpg") == data


CSS = {"ContentType": "text/css"}


class ShoutingStorage(S3Storage):
    """Changes what it stores."""

    def _save(self, name, content):
        return super()._save(name, ContentFile(content.read().upper()))


@pytest.mark.parametrize(
    ("storage_class", "options", "reads"),
    [
        (ShoutingStorage, {}, bytes.lower),
        (S3Storage, {"gzip": True, "gzip_content_types": ["image/jpeg"]}, gzip.decompress),
        (S3Storage, {"gzip": True, "object_parameters": CSS}, gzip.decompress),
    ],
)
async def test_a_storage_that_changes_bytes_gets_a_stream(
    moto_store, storage_class, options, reads
):
    empty(moto_store)
    storage = storage_on(moto_store, storage_class, **options)
    async with S3.sink(moto_store) as sink:
        file = await upload(sink, b"content")
        await entry_of(file).asave("cat.jpg", storage)
    saved = moto_store.read("public/cat.jpg")
    assert saved != b"content"
    assert reads(saved) == b"content"


async def test_what_replaced_the_object_is_not_saved_in_its_place(store):
    storage = storage_on(store)
    async with S3.sink(store) as sink:
        file = await upload(sink, b"content")
        store.client().put_object(Bucket="media", Key=file.key, Body=b"another")
        # Over TLS the SDK wraps what reading the body raised.
        with pytest.raises((SinkError, HTTPClientError), match="PreconditionFailed"):
            await entry_of(file).asave("cat.jpg", storage)
        assert store.object_keys() == [file.key]


# From a Django storage


@pytest.fixture
async def storing():
    """Stores a file by a StorageSink."""
    sinks = []

    async def store_in(storage, data=b"cat", **options):
        sinks.append(sink := StorageSink(storage, "in/", **options))
        return await upload(sink, data)

    yield store_in
    for sink in sinks:
        await sink.aclose()


async def test_in_its_own_folder_a_file_is_linked(storing, tmp_path):
    storage = FileSystemStorage(tmp_path, file_permissions_mode=0o640)
    file = await storing(storage, marks=None)
    entry = entry_of(file)
    names = [await entry.asave("out/cat.jpg", storage) for _ in range(2)]
    assert names[0] == "out/cat.jpg" and names[1] != names[0]
    paths = [tmp_path / name for name in (file.metadata["key"], *names)]
    assert len({path.stat().st_ino for path in paths}) == 1
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)
    await file.adelete()
    assert not paths[0].exists()
    assert [path.read_bytes() for path in paths[1:]] == [b"cat", b"cat"]
    assert paths[1].stat().st_mode & 0o777 == 0o640


class RotatedStorage(FileSystemStorage):
    """What lies on the disk is not the content."""

    def _save(self, name, content):
        return super()._save(name, ContentFile(content.read().translate(_ROTATED)))

    def _open(self, name, mode="rb"):
        with super()._open(name, mode) as file:
            return ContentFile(file.read().translate(_ROTATED))


_ROTATED = bytes((byte + 128) % 256 for byte in range(256))


@pytest.mark.parametrize(
    ("storage_class", "options"),
    [
        (FileSystemStorage, {"file_permissions_mode": 0o600}),
        (FileSystemStorage, {"allow_overwrite": True}),
        (RotatedStorage, {}),
    ],
)
async def test_what_can_not_share_a_file_gets_a_stream(storing, tmp_path, storage_class, options):
    source = FileSystemStorage(tmp_path, file_permissions_mode=0o640)
    if storage_class is RotatedStorage:
        source = RotatedStorage(tmp_path)
    storage = storage_class(tmp_path, **options)
    file = await storing(source, spool=True)
    name = await entry_of(file).asave("cat.jpg", storage)
    saved, kept = tmp_path / name, tmp_path / file.metadata["key"]
    assert saved.stat().st_ino != kept.stat().st_ino
    with storage.open(name) as opened, file:
        assert opened.read() == await file.aread() == b"cat"


async def test_another_folder_gets_a_stream(storing, tmp_path):
    file = await storing(FileSystemStorage(tmp_path / "one"))
    name = await entry_of(file).asave(storage=FileSystemStorage(tmp_path / "two"))
    saved = tmp_path / "two" / name
    assert saved.read_bytes() == b"cat"
    assert saved.stat().st_nlink == 1


async def test_where_there_are_no_links_it_is_a_stream(storing, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    storage = FileSystemStorage(tmp_path)
    file = await storing(storage)
    name = await entry_of(file).asave("cat.jpg", storage)
    assert (tmp_path / name).read_bytes() == b"cat"
    assert (tmp_path / name).stat().st_nlink == 1


@pytest.mark.parametrize("size", [SMALL, 2 * PART])
async def test_in_its_own_bucket_a_stored_file_is_copied_by_the_store(
    store, storing, in_parts, size
):
    storage = storage_on(store)
    data = os.urandom(size)
    file = await storing(storage, data, spool=True)
    requests = recorded(storage.bucket.meta.client)
    assert await entry_of(file).asave("cat.jpg", storage) == "cat.jpg"
    assert requests.count("CopyObject") + requests.count("UploadPartCopy") == (size // PART or 1)
    assert not {"GetObject", "PutObject", "UploadPart"}.intersection(requests)
    assert store.read("public/cat.jpg") == data
    assert head(store, "public/cat.jpg")["ContentType"] == "image/jpeg"
    assert store.read(f"public/{file.metadata['key']}") == data


# django-storages leaves the temporary file open into which it read the compressed object.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_object_that_lies_there_compressed_gets_a_stream(moto_store, storing):
    empty(moto_store)
    packed = storage_on(moto_store, gzip=True, gzip_content_types=["image/jpeg"])
    file = await storing(packed, b"content", spool=True)
    await entry_of(file).asave("cat.jpg", storage_on(moto_store))
    assert moto_store.read("public/cat.jpg") == b"content"


# Event loops, and the other sinks


async def test_on_an_event_loop_save_names_asave(moto_store, storing, tmp_path):
    async with S3.sink(moto_store) as sink:
        files = [await upload(sink, b"cat"), await storing(FileSystemStorage(tmp_path / "in"))]
        for file in files:
            for storage in (FileSystemStorage(tmp_path), storage_on(moto_store)):
                with pytest.raises(SynchronousOnlyOperation, match="asave"):
                    entry_of(file).save("cat.jpg", storage)
                assert await entry_of(file).asave("cat.jpg", storage)


async def test_a_temporary_file_is_renamed(tmp_path):
    file = await upload(TemporaryFileSink(tmp_path), b"cat")
    before = Path(file.temporary_file_path())
    number = before.stat().st_ino
    entry = entry_of(file)
    name = await entry.asave("photos/cat.jpg", FileSystemStorage(tmp_path / "media"))
    assert (tmp_path / "media" / name).stat().st_ino == number
    assert not before.exists()
    await file.adelete()


@pytest.mark.parametrize("sink", [MemorySink, TemporaryFileSink])
async def test_any_other_file_is_a_stream_with_its_type(moto_store, sink):
    empty(moto_store)
    file = await upload(sink(), b"cat")
    for storage in (storage_on(moto_store), InMemoryStorage()):
        name = await entry_of(file).asave("cat", storage)
        with await asyncio.to_thread(storage.open, name) as opened:
            assert await asyncio.to_thread(opened.read) == b"cat"
    assert head(moto_store, "public/cat")["ContentType"] == "image/jpeg"
    await file.adelete()
