"""StorageSink: the contract on all kinds of Django storages, and what is its own."""

from __future__ import annotations

import contextlib
import datetime
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.test import override_settings

from djust_uploads.conf import sinks
from djust_uploads.exceptions import InvalidSink, SinkError, SinkMisconfigured
from djust_uploads.flow.gathering import GATHER
from djust_uploads.sinks import StorageSink, UploadInfo
from djust_uploads.testing import SinkContract
from tests.sinks.test_contract import no_room_for_files
from tests.support.storages import DictStorage, ReadOnlyOpenStorage, RemoteStorage, RenamingStorage


def info(size=3, name="cat.jpg", **values):
    return UploadInfo("photos", name, name, "image/jpeg", "image/jpeg", size, **values)


async def store(sink, data=b"cat", **values):
    writer = await sink.open(info(len(data), **values))
    await writer.write(data)
    return await writer.finish()


# The contract


class TestOnFileSystem(SinkContract):
    part_size = GATHER
    spool = False

    @pytest.fixture
    def sink(self, tmp_path):
        self.folder = tmp_path
        return StorageSink(FileSystemStorage(tmp_path), "photos/%Y/", spool=self.spool)

    def leftovers(self, sink):
        return [str(path) for path in self.folder.rglob("*") if path.is_file()]

    def failing_store(self, sink):
        return no_room_for_files()


class TestSpooledOnFileSystem(TestOnFileSystem):
    spool = True


class TestOnRenamingStorage(TestOnFileSystem):
    @pytest.fixture
    def sink(self, tmp_path):
        self.folder = tmp_path
        return StorageSink(RenamingStorage(tmp_path), "photos/%Y/", marks=None)

    # Without marks there is no sweep.
    sweeps_unconsumed = False
    test_sweep_takes_what_is_old_enough = None


class TestOnMemory(SinkContract):
    @pytest.fixture
    def sink(self):
        return StorageSink(InMemoryStorage())

    # Django's InMemoryStorage gives one stream to all readers of a file.
    test_two_readers_of_one_file = None


class TestOnStorageWithoutModes(SinkContract):
    storage_class = DictStorage

    @pytest.fixture
    def sink(self):
        return StorageSink(self.storage_class())

    def leftovers(self, sink):
        return sink.storage.names()

    @contextlib.contextmanager
    def failing_store(self, sink):
        sink.storage.down = True
        yield
        sink.storage.down = False


class TestOnRemoteStorage(TestOnStorageWithoutModes):
    storage_class = RemoteStorage
    # What is written to it stays in memory until the file is closed, as in the storage itself.
    test_memory_does_not_grow_with_the_file = None


class TestOnStorageWithoutLists(TestOnStorageWithoutModes):
    storage_class = ReadOnlyOpenStorage
    # What can't be listed can't be swept.
    sweeps_unconsumed = False
    test_sweep_takes_what_is_old_enough = None


# Names


async def test_the_default_key_is_unguessable_and_ends_in_the_safe_name():
    sink = StorageSink(InMemoryStorage(), "photos/%Y/")
    file = await store(sink)
    folder, year, name = file.metadata["key"].split("/")
    assert (folder, year) == ("photos", str(datetime.date.today().year))
    key, _, safe_name = name.partition("-")
    assert len(key) == 32 and safe_name == "cat.jpg"
    await sink.aclose()


@pytest.mark.parametrize(
    "storage", [InMemoryStorage, DictStorage, RemoteStorage, lambda: FileSystemStorage("x")]
)
async def test_what_is_there_is_never_overwritten(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = storage()
    storage.save("photos/cat.jpg", ContentFile(b"the first"))
    sink = StorageSink(storage, lambda upload: f"photos/{upload.client_name}")
    files = [await store(sink), await store(sink)]
    names = {"photos/cat.jpg", *(file.metadata["key"] for file in files)}
    assert len(names) == 3
    with storage.open("photos/cat.jpg") as first:
        assert first.read() == b"the first"
    assert [await file.aread() for file in files] == [b"cat", b"cat"]
    for file in files:
        file.close()
    await sink.aclose()


@pytest.mark.parametrize("spool", [False, True])
async def test_an_abort_deletes_no_file_of_somebody_else(spool):
    storage = InMemoryStorage()
    sink = StorageSink(storage, lambda upload: upload.client_name, spool=spool)
    writer = await sink.open(info())
    await writer.write(b"cat")
    storage.save("cat.jpg", ContentFile(b"somebody else's"))
    other = await store(sink)
    await writer.abort()
    assert await other.aread() == b"cat"
    taken = [name for name in storage.listdir("")[1] if name.startswith("cat")]
    assert len(taken) == 2
    contents = {storage.open(name).read() for name in taken}
    assert contents == {b"somebody else's", b"cat"}
    await sink.aclose()


@pytest.mark.parametrize("key", ["../cat.jpg", "/etc/cat.jpg", "", "photos/..", None])
@pytest.mark.parametrize("spool", [False, True])
async def test_a_key_that_leads_out_of_the_storage_is_refused(key, spool):
    sink = StorageSink(InMemoryStorage(), lambda upload: key, spool=spool)
    with pytest.raises(SinkMisconfigured, match="upload_to gave"):
        await sink.open(info())
    await sink.aclose()


# The file


async def test_url(tmp_path):
    sink = StorageSink(FileSystemStorage(tmp_path, base_url="/media/"), lambda upload: "cat.jpg")
    assert (await store(sink)).url == "/media/cat.jpg"
    without = StorageSink(DictStorage())
    with pytest.raises(ValueError, match="DictStorage has no URLs"):
        _ = (await store(without)).url
    await sink.aclose()
    await without.aclose()


async def test_reading_it_on_the_event_loop_names_the_async_way():
    sink = StorageSink(InMemoryStorage())
    file = await store(sink)
    with pytest.raises(SynchronousOnlyOperation, match="aread"):
        file.read()
    assert await file.aread() == b"cat"
    await sink.aclose()


async def test_permissions_are_the_storages(tmp_path):
    sink = StorageSink(FileSystemStorage(tmp_path, file_permissions_mode=0o640))
    key = (await store(sink)).metadata["key"]
    assert (tmp_path / key).stat().st_mode & 0o777 == 0o640
    await sink.aclose()


# Ways to write


async def test_a_storage_that_loses_what_is_written_is_found_out_once():
    sink = StorageSink(DictStorage())
    assert await (await store(sink)).aread() == b"cat"
    assert sink._place.spools is True
    remote = StorageSink(RemoteStorage())
    assert await (await store(remote)).aread() == b"cat"
    assert remote._place.spools is False
    await sink.aclose()
    await remote.aclose()


async def test_bytes_that_the_storage_lost_fail_the_upload():
    storage = RemoteStorage()
    sink = StorageSink(storage)
    await store(sink)
    writer = await sink.open(info(3))
    await writer.write(b"ca")
    with pytest.raises(SinkError, match="has 2 bytes instead of 3"):
        await writer.finish()
    await writer.abort()
    await sink.aclose()


async def test_it_works_in_threads_of_its_own():
    storage = DictStorage()
    sink = StorageSink(storage)
    file = await store(sink)
    await file.adelete()
    assert storage.threads
    assert all(name.startswith("djust-uploads-storage") for name in storage.threads)
    await sink.aclose()


# Sweeps


async def test_only_marks_of_ours_are_believed():
    storage = InMemoryStorage()
    storage.save("precious.txt", ContentFile(b"precious"))
    storage.save("unconsumed-uploads/x", ContentFile(b'{"name": "precious.txt", "at": 0}'))
    storage.save("unconsumed-uploads/y", ContentFile(b"\xff"))
    sink = StorageSink(storage)
    assert await sink.sweep(timedelta(0)) == []
    assert storage.exists("precious.txt")
    await sink.aclose()


# Options


def test_an_unknown_alias_lists_those_there_are():
    with pytest.raises(InvalidSink, match=r"no storage 'medai'.*Configured: default, staticfiles"):
        StorageSink("medai")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"upload_to": 7}, "upload_to must be a prefix or a callable"),
        ({"threads": 0}, "threads must be an integer, at least 1. Got: 0"),
        ({"stroage": "default"}, "stroage"),
        ({"storage": "medai"}, "Configured: default, staticfiles"),
    ],
)
def test_checks_find_wrong_options(options, message):
    configured = {"BACKEND": "djust_uploads.sinks.StorageSink", "OPTIONS": options}
    with override_settings(DJUST_UPLOADS={"SINKS": {"media": configured}}):
        (error,) = run_checks(tags=["djust_uploads"])
    assert error.id == "djust_uploads.E001"
    assert message in error.msg


def test_checks_find_a_storage_that_cannot_be_made():
    storages = {"default": {"BACKEND": "storages.backends.missing.Storage"}}
    with override_settings(STORAGES=storages, DJUST_UPLOADS={"SINKS": {}}):
        (error,) = StorageSink().check()
    assert error.id == "djust_uploads.E007"


def test_it_is_configured_by_its_path():
    configured = {"BACKEND": "djust_uploads.sinks.StorageSink"}
    with override_settings(DJUST_UPLOADS={"SINKS": {"media": configured}}):
        assert isinstance(sinks["media"], StorageSink)
        assert sinks["media"].check() == []
