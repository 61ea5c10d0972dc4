"""A checkpoint of a temporary file leads to that file, and nowhere else."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from djust_uploads import TemporaryFileSink, UploadInfo
from djust_uploads.exceptions import NotResumable, SinkError
from djust_uploads.flow.gathering import GATHER
from djust_uploads.sinks import disk, temporary_file
from djust_uploads.sinks.temporary_file import PREFIX
from tests.support.servers import ROOT

KEY = "0123456789abcdef" * 2
INFO = UploadInfo("slot", "a.bin", "a.bin", "", "application/octet-stream", 3 * GATHER, KEY)
NAME = f"{PREFIX}{KEY}.bin"


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "uploads"
    path.mkdir()
    return path


@pytest.fixture
def sink(directory):
    return TemporaryFileSink(directory)


async def suspended(sink, data=b"a" * GATHER):
    """A checkpoint, and its writer, which doesn't know that the upload goes on elsewhere."""
    writer = await sink.open(INFO)
    await writer.write(data)
    return await writer.checkpoint(), writer


@pytest.mark.parametrize(
    "changed",
    [
        {"key": KEY[:-1]},
        {"key": f"{KEY}/../../secret"},
        {"key": None},
        {"offset": "0"},
        {"offset": None},
        {"offset": 4},
        {"finished": None},
    ],
)
async def test_what_is_no_checkpoint_of_ours_is_refused(sink, directory, changed):
    (directory / NAME).write_text("123")
    checkpoint = {"key": KEY, "offset": 3, "finished": False}
    with pytest.raises(NotResumable):
        await sink.resume(INFO, {**checkpoint, **changed})
    for name in checkpoint:
        with pytest.raises(NotResumable):
            await sink.resume(INFO, {k: v for k, v in checkpoint.items() if k != name})
    assert (directory / NAME).read_text() == "123"


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("there", ["nothing", "link", "directory", "too long"])
async def test_what_is_no_file_of_ours_is_not_resumed(sink, directory, tmp_path, there, finished):
    (tmp_path / "secret").write_text("secret")
    if there == "link":
        (directory / NAME).symlink_to(tmp_path / "secret")
    elif there == "directory":
        (directory / NAME).mkdir()
    elif there == "too long":
        (directory / NAME).write_bytes(b"x" * (3 * GATHER + 1))
    before = sorted(directory.iterdir())
    with pytest.raises(NotResumable):
        await sink.resume(INFO, {"key": KEY, "offset": 0, "finished": finished})
    assert sorted(directory.iterdir()) == before
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_file_that_became_a_link_is_not_written_through(sink, directory, tmp_path):
    writer = await sink.open(INFO)
    path = directory / NAME
    (tmp_path / "secret").write_text("secret")
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="symbolic link"):
        await writer.write(b"x" * GATHER)
    assert (tmp_path / "secret").read_text() == "secret"
    await writer.abort()


async def test_a_file_that_was_swept_meanwhile_fails_the_upload(sink, directory):
    writer = await sink.open(INFO)
    path = directory / NAME
    path.unlink()
    with pytest.raises(SinkError, match="was swept"):
        await writer.write(b"x" * GATHER)
    await writer.abort()


async def test_it_goes_on_where_the_file_ends(sink, directory):
    checkpoint, writer = await suspended(sink)
    await writer.write(b"b" * GATHER)
    assert checkpoint["offset"] == GATHER
    resumed = await TemporaryFileSink(directory).resume(INFO, checkpoint)
    assert resumed.offset == 2 * GATHER
    await resumed.write(b"c" * GATHER)
    file = await resumed.finish()
    assert await file.aread() == b"a" * GATHER + b"b" * GATHER + b"c" * GATHER
    file.close()
    await file.adelete()
    assert list(directory.iterdir()) == []


async def test_flush_writes_what_was_gathered_and_release_lets_go_of_it(sink, directory):
    _, writer = await suspended(sink, b"gathered")
    assert writer.offset == 0
    await writer.flush()
    assert writer.offset == 8 and (await writer.checkpoint())["offset"] == 8
    await writer.write(b"not written")
    await writer.release()
    await writer.release()
    assert (directory / NAME).read_bytes() == b"gathered"


async def test_a_file_that_lost_bytes_is_neither_resumed_nor_given_a_hole(sink, directory):
    checkpoint, writer = await suspended(sink)
    os.truncate(directory / NAME, GATHER - 1)
    with pytest.raises(NotResumable, match=f"has {GATHER - 1} bytes, not {GATHER} to"):
        await sink.resume(INFO, checkpoint)
    for call in (writer.finish, lambda: writer.write(b"b" * GATHER)):
        with pytest.raises(SinkError, match=f"has {GATHER - 1} bytes, and had {GATHER}"):
            await call()
    assert (directory / NAME).read_bytes() == b"a" * (GATHER - 1)


async def test_of_two_that_resume_the_later_one_has_the_file(sink, directory):
    """Whichever comes first: that one knows the other's number, or finds it in the file's name."""
    checkpoint, _ = await suspended(sink)
    first, second = (dataclasses.replace(INFO, generation=number) for number in (9, 10))
    lost = await sink.resume(first, checkpoint)
    resumed = await sink.resume(second, checkpoint)
    with pytest.raises(NotResumable, match="another process"):
        await sink.resume(first, checkpoint)
    with pytest.raises(SinkError, match="taken over"):
        await lost.write(b"x" * GATHER)
    await resumed.write(b"b" * GATHER)
    await resumed.flush()
    [path] = directory.iterdir()
    assert path.read_bytes() == b"a" * GATHER + b"b" * GATHER


async def test_who_is_overtaken_in_the_act_takes_over_again(sink, directory, monkeypatch):
    """The file gets another name between the look and the leap."""
    checkpoint, _ = await suspended(sink)
    first, second = (dataclasses.replace(INFO, generation=number) for number in (1, 2))
    taken_over, others = temporary_file._taken_over, [first]

    def overtaken(path, upload):
        if others:
            taken_over(path, others.pop())
        return taken_over(path, upload)

    monkeypatch.setattr(temporary_file, "_taken_over", overtaken)
    assert (await sink.resume(second, checkpoint)).offset == GATHER
    others.append(dataclasses.replace(INFO, generation=3))
    with pytest.raises(NotResumable, match="another process"):
        await sink.resume(second, checkpoint)


async def test_who_resumes_is_alone_with_the_file(sink, directory):
    """A writer that is late, or a client that sends other bytes to it, changes nothing."""
    checkpoint, late = await suspended(sink)
    resumed = await sink.resume(INFO, checkpoint)
    with pytest.raises(SinkError, match="taken over"):
        await late.write(b"x" * GATHER)
    for call in (late.flush, late.finish):
        with pytest.raises(SinkError, match="taken over"):
            await call()
    await late.abort()
    await resumed.write(b"b" * 2 * GATHER)
    file = await resumed.finish()
    await late.abort()
    assert file.read() == b"a" * GATHER + b"b" * 2 * GATHER
    file.close()
    await file.adelete()
    assert list(directory.iterdir()) == []


async def test_a_finish_that_comes_too_late_returns_no_file(sink):
    checkpoint, late = await suspended(sink, b"a" * 3 * GATHER)
    assert late.offset == INFO.size
    await (await sink.resume(INFO, checkpoint)).finish()
    with pytest.raises(SinkError, match="taken over"):
        await late.finish()


async def test_what_is_being_written_is_waited_for(sink, directory, monkeypatch):
    """And counts, though its process never heard that it was written."""
    checkpoint, late = await suspended(sink)
    reached, go_on = threading.Event(), threading.Event()
    pwritev = disk._pwritev

    def slow(fd, views, offset):
        reached.set()
        go_on.wait(10)
        return pwritev(fd, views, offset)

    monkeypatch.setattr(disk, "_pwritev", slow)
    writing = asyncio.create_task(late.write(b"b" * GATHER))
    await asyncio.to_thread(reached.wait, 10)
    resuming = asyncio.create_task(sink.resume(INFO, checkpoint))
    async with asyncio.timeout(10):
        while (directory / NAME).exists():  # noqa: ASYNC110 (no event for a rename)
            await asyncio.sleep(0.01)
    assert not resuming.done()
    writing.cancel()
    go_on.set()
    assert (await resuming).offset == 2 * GATHER


async def test_what_is_opened_but_not_written_to_is_refused(sink, directory, monkeypatch):
    """Between its open() and its write, the file goes to somebody else."""
    checkpoint, late = await suspended(sink)
    resumed = []

    def taken_over_first(fd, operation):
        monkeypatch.undo()
        resumed.append(asyncio.run(sink.resume(INFO, checkpoint)))

    monkeypatch.setattr(temporary_file.fcntl, "flock", taken_over_first)
    with pytest.raises(SinkError, match="taken over"):
        await late.write(b"x" * GATHER)
    assert [path.read_bytes() for path in directory.iterdir()] == [b"a" * GATHER]
    assert resumed[0].offset == GATHER


async def test_a_file_system_without_locks_will_do(sink, monkeypatch):
    def no_locks(fd, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(temporary_file.fcntl, "flock", no_locks)
    checkpoint, _ = await suspended(sink)
    resumed = await sink.resume(INFO, checkpoint)
    await resumed.write(b"b" * 2 * GATHER)
    file = await resumed.finish()
    assert file.read(1) == b"a"
    file.close()


async def test_one_checkpoint_is_resumed_again_and_again(sink, directory):
    """Each process that goes on may die before it saves a checkpoint of its own."""
    checkpoint, _ = await suspended(sink)
    names = {NAME}
    for _ in range(3):
        resumed = await sink.resume(INFO, checkpoint)
        assert resumed.offset == GATHER
        (path,) = directory.iterdir()
        assert path.suffix == ".bin"
        names.add(path.name)
    assert len(names) == 4


async def test_a_sweep_counts_from_the_resumption(sink, directory):
    checkpoint, _ = await suspended(sink)
    os.utime(directory / NAME, (1, 1))
    await sink.resume(INFO, checkpoint)
    assert await sink.sweep(datetime.timedelta(hours=1)) == []


async def test_a_finished_file_keeps_its_name_whoever_comes_back_to_it(sink):
    """Its name is in use where it was finished."""
    first = await sink.open(INFO)
    await first.write(b"a" * INFO.size)
    file = await first.finish()
    second = await sink.resume(INFO, await first.checkpoint())
    third = await sink.resume(INFO, await second.checkpoint())
    assert (await third.finish()).temporary_file_path() == file.temporary_file_path()
    for opened in (file, await third.finish()):
        opened.close()
    await third.abort()


@pytest.mark.parametrize("late", [False, True])
async def test_a_finished_file_comes_back(sink, directory, late):
    checkpoint, writer = await suspended(sink, b"a" * 3 * GATHER)
    file = await writer.finish()
    if late:
        checkpoint = await writer.checkpoint()
        assert checkpoint["finished"]
    resumed = await TemporaryFileSink(directory).resume(INFO, checkpoint)
    assert resumed.offset == INFO.size
    again = await resumed.finish()
    assert again.size == INFO.size and again.read() == b"a" * 3 * GATHER
    again.close()
    if late:
        # Who holds it may still use it.
        assert again.temporary_file_path() == file.temporary_file_path()
        file.close()
        again.close()
    await again.adelete()
    assert list(directory.iterdir()) == []


PROCESS = """
import asyncio, dataclasses, json, sys
from djust_uploads import TemporaryFileSink
from tests.sinks.test_temporary_file_resuming import GATHER, INFO

async def main():
    sink = TemporaryFileSink(sys.argv[1])
    await sink.open(dataclasses.replace(INFO, key="nobody can go on with it"))
    if len(sys.argv) > 2:
        writer = await sink.resume(INFO, json.loads(sys.argv[2]))
        await writer.write(b"b" * (INFO.size - writer.offset))
        await writer.finish()
    else:
        writer = await sink.open(INFO)
        await writer.write(b"a" * GATHER)
    print(json.dumps(await writer.checkpoint()))

asyncio.run(main())
"""


def in_a_process(*args):
    """Its checkpoint, from when it has exited."""
    command = [sys.executable, "-c", PROCESS, *map(str, args)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


async def test_a_file_with_a_checkpoint_outlives_its_process_and_others_do_not(sink, directory):
    checkpoint = in_a_process(directory)
    assert [path.name for path in directory.iterdir()] == [NAME]
    finished = in_a_process(directory, json.dumps(checkpoint))
    resumed = await sink.resume(INFO, finished)
    assert resumed.offset == INFO.size
    file = await resumed.finish()
    assert file.read() == b"a" * GATHER + b"b" * 2 * GATHER
    file.close()
    await file.adelete()
    assert list(directory.iterdir()) == []
