"""The temporary file sink against real disks, and what a stored file can do."""

from __future__ import annotations

import asyncio
import datetime
import io
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from djust_uploads import MemorySink, TemporaryFileSink, UploadInfo
from djust_uploads.exceptions import SinkError, SinkFull, SinkMisconfigured
from djust_uploads.sinks import disk, reserving, temporary_file
from tests.support import content
from tests.support.servers import ROOT


def info(size=0, name="cat.jpg"):
    return UploadInfo("photos", name, name, "image/jpeg", "image/jpeg", size)


async def store(sink, data, name="cat.jpg", size=65536):
    """The file that ``sink`` makes of ``data``."""
    writer = await sink.open(info(len(data), name))
    for start in range(0, len(data), size):
        await writer.write(data[start : start + size])
    return await writer.finish()


@pytest.fixture
def sink(tmp_path):
    return TemporaryFileSink(directory=tmp_path / "uploads")


@pytest.fixture(autouse=True)
def directory(tmp_path):
    path = tmp_path / "uploads"
    path.mkdir()
    yield path
    assert list(path.iterdir()) == []


# Options


async def test_directory_and_suffix(sink, directory):
    file = await store(sink, b"abc")
    path = Path(file.temporary_file_path())
    assert path.parent == directory
    assert path.name.startswith("djust-upload-")
    assert path.suffix == ".jpg"
    assert path.read_bytes() == b"abc"
    await file.adelete()


async def test_directory_is_that_of_the_settings(directory):
    with override_settings(FILE_UPLOAD_TEMP_DIR=str(directory)):
        sink = TemporaryFileSink()
        assert sink.directory == directory
        file = await store(sink, b"abc")
        assert Path(file.temporary_file_path()).parent == directory
        await file.adelete()


def test_directory_is_the_systems():
    import tempfile

    with override_settings(FILE_UPLOAD_TEMP_DIR=None):
        assert TemporaryFileSink().directory == Path(tempfile.gettempdir())


@pytest.mark.parametrize(("permissions", "mode"), [(None, 0o600), (0o640, 0o640), (0o666, 0o666)])
async def test_permissions(directory, permissions, mode):
    file = await store(TemporaryFileSink(directory, permissions), b"abc")
    assert stat.S_IMODE(Path(file.temporary_file_path()).stat().st_mode) == mode
    await file.adelete()


@pytest.mark.parametrize("permissions", ["0o640", 6.4, [6]])
def test_permissions_that_cannot_be(permissions):
    with pytest.raises(ValueError, match=r"permissions must be mode bits.*Got: "):
        TemporaryFileSink(permissions=permissions)


async def test_less_is_gathered_where_the_budget_is_small(sink):
    writer = await sink.open(info(500_000))
    await writer.write(bytes(200_000))
    assert writer.offset == 0
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 600_000}):
        await writer.write(bytes(100_000))
        assert writer.offset == 300_000
    await writer.abort()


def test_check(directory):
    assert TemporaryFileSink(directory).check() == []
    [message] = TemporaryFileSink(directory / "missing").check()
    assert message.id == "djust_uploads.E005"


async def test_names_are_never_the_clients(sink, directory):
    files = [await store(sink, b"x", name="same.jpg") for _ in range(3)]
    assert len({file.temporary_file_path() for file in files}) == 3
    assert all("same" not in path.name for path in directory.iterdir())
    for file in files:
        await file.adelete()


# Writing


@pytest.mark.parametrize("size", [0, 1, 65536, 1024 * 1024, 3 * 1024 * 1024 + 1])
@pytest.mark.parametrize("chunk", [65536, 1024 * 1024 + 1])
async def test_bytes_are_those_that_were_written(sink, size, chunk):
    data = os.urandom(size)
    file = await store(sink, data, size=chunk)
    assert (file.size, file.read()) == (size, data)
    file.close()
    await file.adelete()


async def test_offset_is_what_is_on_the_disk(sink, directory):
    writer = await sink.open(info(30_000_000))
    offsets = []
    for _ in range(300):
        await writer.write(bytes(100_000))
        offsets.append(writer.offset)
        [path] = directory.iterdir()
        assert path.stat().st_size == writer.offset
    assert offsets == sorted(offsets)
    assert 0 < offsets[-1] <= 30_000_000
    await writer.abort()


async def test_slow_upload_is_written_every_second(sink, monkeypatch):
    monkeypatch.setattr(temporary_file, "GATHER_TIME", 0.05)
    writer = await sink.open(info(300))
    await writer.write(b"a" * 100)
    assert writer.offset == 0
    await asyncio.sleep(0.06)
    await writer.write(b"a" * 100)
    assert writer.offset == 200
    await writer.write(b"a" * 100)
    assert writer.offset == 200
    await writer.abort()


async def test_room_on_the_disk_is_reserved_modestly(sink, directory, monkeypatch):
    """As much as a file has, 16 MiB at most, never more than it will have; and it doesn't show."""
    monkeypatch.setattr(temporary_file, "GATHER", 2_000_000)
    size, reserved = 100_000_000, []
    writer = await sink.open(info(size))
    [path] = directory.iterdir()
    for _ in range(100):
        await writer.write(bytes(1_000_000))
        status = path.stat()
        assert status.st_size == writer.offset
        reserved.append(status.st_blocks * 512 - writer.offset)
        assert reserved[-1] <= min(writer.offset, reserving.RESERVE) + 2_000_000
    assert max(reserved) > 8_000_000
    file = await writer.finish()
    assert path.stat().st_blocks * 512 < size + 1_000_000
    await file.adelete()


async def test_disk_that_reserves_nothing(sink, monkeypatch):
    monkeypatch.setattr(reserving, "_fallocate", None)
    file = await store(sink, data := os.urandom(10_000_000))
    assert await file.aread() == data
    await file.adelete()


@pytest.mark.parametrize("sizes", [[1], [5_000_000], [700_000] * 9, [3] * 3000, [0, 1 << 20, 0]])
async def test_writes_are_not_too_large(sink, monkeypatch, sizes):
    written = []

    def pwritev(fd, buffers, offset):
        written.append(sum(map(len, buffers)))
        return os.pwritev(fd, buffers, offset)

    monkeypatch.setattr(disk, "_pwritev", pwritev)
    data = os.urandom(sum(sizes))
    writer, start = await sink.open(info(len(data))), 0
    for size in sizes:
        await writer.write(memoryview(data)[start : start + size])
        start += size
    file = await writer.finish()
    assert await file.aread() == data
    assert max(written) <= disk.WRITE_SIZE
    await file.adelete()


async def test_abort_is_idempotent(sink, directory):
    writer = await sink.open(info(10))
    await writer.write(b"abc")
    assert len(list(directory.iterdir())) == 1
    await writer.abort()
    await writer.abort()
    assert list(directory.iterdir()) == []


async def test_finish_is_idempotent(sink):
    writer = await sink.open(info(3))
    await writer.write(b"abc")
    file = await writer.finish()
    assert await writer.finish() is file
    await file.adelete()
    await file.adelete()


async def test_abort_after_somebody_deleted_the_file(sink, directory):
    writer = await sink.open(info(3))
    [path] = directory.iterdir()
    path.unlink()
    await writer.abort()


@given(st.lists(st.binary(max_size=20), max_size=12), st.data())
def test_short_writes(chunks, data):
    """A disk that is nearly full, a signal: pwritev() may take a part, cut anywhere."""
    stored = bytearray(b"before")

    def pwritev(fd, views, offset):
        joined = b"".join(views)
        taken = data.draw(st.integers(1, len(joined))) if joined else 0
        stored[offset : offset + taken] = joined[:taken]
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "_pwritev", pwritev)
        disk.write_at(0, chunks, len(b"before"))
    assert stored == b"before" + b"".join(chunks)


def test_pwritev_of_systems_without_one(tmp_path):
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        views = [memoryview(b"abc"), memoryview(b"def")]
        assert disk._write_and_seek(file.fileno(), views, 2) == 6
    assert path.read_bytes() == b"\0\0abcdef"


def test_more_buffers_than_one_call_takes(tmp_path):
    chunks = [bytes([n % 256]) for n in range(3 * disk._IOV_MAX)]
    with (tmp_path / "file").open("wb", buffering=0) as file:
        disk.write_at(file.fileno(), chunks, 0)
    assert (tmp_path / "file").read_bytes() == b"".join(chunks)


# Errors of the disk


async def test_missing_directory(tmp_path):
    with pytest.raises(SinkMisconfigured) as caught:
        await TemporaryFileSink(tmp_path / "missing").open(info())
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert str(tmp_path) not in caught.value.message


async def test_a_file_system_without_permissions(directory, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(SinkMisconfigured):
        await TemporaryFileSink(directory, 0o640).open(info())
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("call", ["abort", "adelete", "sweep"])
async def test_what_cannot_be_deleted(sink, directory, call):
    writer = await sink.open(info(3))
    await writer.write(b"abc")
    file = await writer.finish()
    calls = {
        "abort": writer.abort,
        "adelete": file.adelete,
        "sweep": lambda: sink.sweep(datetime.timedelta(0)),
    }
    [path] = directory.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(SinkError) as caught:
        await calls[call]()
    assert isinstance(caught.value.__cause__, OSError)
    path.rmdir()
    await calls[call]()


async def test_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SinkMisconfigured):
        await TemporaryFileSink(tmp_path / "file").open(info())


async def test_other_errors_are_the_storages(sink, directory):
    writer = await sink.open(info(3))
    await writer.write(b"abc")
    [path] = directory.iterdir()
    path.unlink()
    path.symlink_to(directory)
    with pytest.raises(SinkError) as caught:
        await writer.finish()
    assert caught.value.code == "storage_error"
    await writer.abort()


#: A process that may write no file longer than 300 kB, https://man7.org/linux/man-pages/man2/getrlimit.2.html:
#: write() then takes a part and the next one fails with EFBIG, as a full disk does with ENOSPC.
FULL = """
import asyncio, os, resource, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from djust_uploads import TemporaryFileSink
from djust_uploads.exceptions import SinkFull
from tests.sinks.test_temporary_file import info
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

async def main():
    writer = await TemporaryFileSink(sys.argv[1]).open(info(2_000_000))
    try:
        for _ in range(20):
            await writer.write(bytes(100_000))
        await writer.finish()
    except SinkFull as error:
        print(error.code, type(error.__cause__).__name__)
    await writer.abort()

asyncio.run(main())
"""


def run(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_limit_on_the_size_of_files(directory):
    assert run(FULL, directory) == "storage_full OSError"


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    yield path
    subprocess.run(["umount", str(path)], check=True)


async def test_full_disk(tiny_disk):
    sink = TemporaryFileSink(tiny_disk)
    writer = await sink.open(info(3_000_000))
    with pytest.raises(SinkFull) as caught:
        for _ in range(30):
            await writer.write(bytes(100_000))
        await writer.finish()
    assert caught.value.code == "storage_full"
    # Called again when there is space: it goes on where it failed, exactly.
    assert writer.offset <= 1_000_000
    await writer.abort()
    assert list(tiny_disk.iterdir()) == []


async def test_disk_that_has_space_again(tiny_disk):
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(900_000))
    data = os.urandom(500_000)
    writer = await TemporaryFileSink(tiny_disk).open(info(len(data)))
    await writer.write(data)
    with pytest.raises(SinkFull):
        await writer.finish()
    ballast.unlink()
    file = await writer.finish()
    assert file.read() == data
    file.close()
    await file.adelete()


# What is left behind


async def test_sweep_takes_only_ours_and_only_the_old(sink, directory):
    old = await store(sink, b"old")
    young = await store(sink, b"young")
    other = directory / "other"
    other.touch()
    for path in (old.temporary_file_path(), other):
        os.utime(path, (1, 1))
    assert await sink.sweep(datetime.timedelta(hours=1)) == [Path(old.temporary_file_path()).name]
    assert await sink.sweep(datetime.timedelta(hours=1)) == []
    assert sorted(directory.iterdir()) == [Path(young.temporary_file_path()), other]
    other.unlink()
    await young.adelete()
    await old.adelete()


async def test_other_sinks_have_nothing_to_sweep():
    assert await MemorySink().sweep(datetime.timedelta(0)) == []


#: A server that ends without cancelling its tasks, and one that has forked before.
EXIT = """
import asyncio, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from djust_uploads import TemporaryFileSink
from tests.sinks.test_temporary_file import info, store

async def main():
    sink = TemporaryFileSink(sys.argv[1])
    await store(sink, b"complete")
    writer = await sink.open(info(10))
    await writer.write(b"half")

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
if os.fork() == 0:
    sys.exit()
os.wait()
print(len(os.listdir(sys.argv[1])))
"""


def test_process_that_just_exits(directory):
    """Its forked child deletes nothing when it exits; the process deletes both files."""
    assert run(EXIT, directory) == "2"


# What a stored file can do


@pytest.fixture(params=["memory", "temporary"])
def any_sink(request, sink):
    return sink if request.param == "temporary" else MemorySink()


async def test_save_to_a_file_system_renames(sink, tmp_path):
    file = await store(sink, b"abc")
    inode = Path(file.temporary_file_path()).stat().st_ino
    storage = FileSystemStorage(tmp_path / "media", file_permissions_mode=0o644)
    name = storage.save("cats/cat.jpg", file)
    path = Path(storage.path(name))
    assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o644)
    await file.adelete()
    assert path.read_bytes() == b"abc"


async def test_save_to_any_storage_copies(any_sink):
    file = await store(any_sink, b"abc" * 100_000)
    storage = InMemoryStorage()
    assert storage.save("cat.jpg", file) == "cat.jpg"
    with storage.open("cat.jpg") as saved:
        assert saved.read() == b"abc" * 100_000
    assert file.open().read(3) == b"abc"
    await file.adelete()


async def test_save_to_the_default_storage(any_sink, tmp_path):
    from django.core.files.storage import default_storage

    with override_settings(MEDIA_ROOT=str(tmp_path / "media")):
        file = await store(any_sink, b"abc")
        name = default_storage.save("avatars/cat.jpg", file)
        assert (tmp_path / "media" / name).read_bytes() == b"abc"
        await file.adelete()


async def test_pillow_and_django_read_images(any_sink):
    from django.core.files.images import get_image_dimensions
    from django.forms import ImageField

    file = await store(any_sink, content.PNG, "red.png")
    with Image.open(file) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (16, 16))
    assert get_image_dimensions(file.open()) == (16, 16)
    cleaned = ImageField().clean(file)
    assert cleaned.image.format == "PNG"
    file.close()
    await file.adelete()


async def test_zipfile_reads_it(any_sink):
    file = await store(any_sink, content.ZIP, "a.zip")
    with zipfile.ZipFile(file) as archive:
        assert archive.read("a.txt") == b"text"
    await file.adelete()


async def test_reading(any_sink):
    file = await store(any_sink, b"one\ntwo\nthree")
    assert (file.size, len(file), file.content_type) == (13, 13, "image/jpeg")
    assert file.name == "cat.jpg"
    assert file
    assert file.read(3) == b"one"
    assert (file.tell(), file.seekable(), file.readable()) == (3, True, True)
    file.seek(-5, io.SEEK_END)
    assert file.read() == b"three"
    file.seek(0)
    assert list(file) == [b"one\n", b"two\n", b"three"]
    assert not file.closed
    file.close()
    assert file.closed
    await file.adelete()


async def test_chunks_twice(any_sink):
    data = os.urandom(200_000)
    file = await store(any_sink, data)
    for _ in range(2):
        chunks = list(file.chunks())
        assert b"".join(chunks) == data
        assert {len(chunk) for chunk in chunks[:-1]} == {65536}
    assert b"".join(file.chunks(1000)) == data
    assert file.multiple_chunks()
    file.close()
    await file.adelete()


async def test_async_reading(any_sink):
    data = os.urandom(200_000)
    file = await store(any_sink, data)
    assert await file.aread(10) == data[:10]
    assert await file.aread() == data[10:]
    for size in (None, 1000):
        assert b"".join([chunk async for chunk in file.achunks(size)]) == data
    file.close()
    await file.adelete()


async def test_open_after_close(any_sink):
    file = await store(any_sink, b"abc")
    with file.open() as opened:
        assert opened.read() == b"abc"
    assert file.closed
    with file.open("rb") as opened:
        assert opened.read() == b"abc"
    file.close()
    assert file.read() == b"abc"
    assert file.open().read() == b"abc"
    file.close()
    file.close()
    await file.adelete()


@pytest.mark.parametrize("mode", ["w", "wb", "r+b", "a"])
async def test_open_for_writing(any_sink, mode):
    file = await store(any_sink, b"abc")
    with pytest.raises(ValueError, match=f"opens in mode 'rb'. Got: {mode!r}".replace("+", r"\+")):
        file.open(mode)
    await file.adelete()


async def test_there_is_no_url(any_sink):
    file = await store(any_sink, b"abc")
    with pytest.raises(ValueError, match="save it to a storage first"):
        _ = file.url
    await file.adelete()


async def test_delete_closes(any_sink):
    file = await store(any_sink, b"abc")
    file.read()
    await file.adelete()
    assert file.closed
    await file.adelete()
