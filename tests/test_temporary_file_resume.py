"""A checkpoint of a temporary file leads to that file, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from djust_uploads import TemporaryFileSink, UploadInfo
from djust_uploads.exceptions import NotResumable, SinkMisconfigured
from djust_uploads.sinks.temporary_file import GATHER, PREFIX
from tests.servers import ROOT

INFO = UploadInfo("slot", "a.bin", "a.bin", "", "application/octet-stream", 3 * GATHER)


@pytest.fixture
def sink(tmp_path):
    (tmp_path / "uploads").mkdir()
    return TemporaryFileSink(tmp_path / "uploads")


@pytest.mark.parametrize(
    "checkpoint",
    [
        {},
        {"name": f"{PREFIX}x"},
        {"name": f"{PREFIX}x", "offset": "0"},
        {"name": f"{PREFIX}x", "offset": -1},
        {"name": f"{PREFIX}x", "offset": 4},
        {"name": f"{PREFIX}x\0", "offset": 0},
        {"name": f"{PREFIX}/../../secret", "offset": 0},
        {"name": f"../{PREFIX}x", "offset": 0},
        {"name": "..", "offset": 0},
        {"name": "secret", "offset": 0},
        {"name": f"{PREFIX}missing", "offset": 0},
        {"name": f"{PREFIX}link", "offset": 0},
        {"name": f"{PREFIX}directory", "offset": 0},
        {"name": f"{PREFIX}long", "offset": 0},
        {"name": None, "offset": 0},
    ],
)
async def test_what_is_no_checkpoint_of_ours_is_refused(sink, tmp_path, checkpoint):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "uploads" / "secret").write_text("secret")
    (tmp_path / "uploads" / f"{PREFIX}x").write_text("123")
    (tmp_path / "uploads" / f"{PREFIX}link").symlink_to(tmp_path / "secret")
    (tmp_path / "uploads" / f"{PREFIX}directory").mkdir()
    (tmp_path / "uploads" / f"{PREFIX}long").write_bytes(b"x" * (3 * GATHER + 1))
    with pytest.raises(NotResumable):
        await sink.resume(INFO, checkpoint)
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_file_that_became_a_link_is_not_written_through(sink, tmp_path):
    writer = await sink.open(INFO)
    (path,) = (tmp_path / "uploads").iterdir()
    (tmp_path / "secret").write_text("secret")
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="symbolic link"):
        await writer.write(b"x" * GATHER)
    assert (tmp_path / "secret").read_text() == "secret"
    await writer.abort()


async def test_a_file_that_was_swept_meanwhile_fails_the_upload(sink, tmp_path):
    writer = await sink.open(INFO)
    (path,) = (tmp_path / "uploads").iterdir()
    path.unlink()
    with pytest.raises(SinkMisconfigured):
        await writer.write(b"x" * GATHER)
    await writer.abort()


async def test_it_goes_on_at_the_checkpoint_and_holds_no_descriptor(sink, tmp_path):
    writer = await sink.open(INFO)
    await writer.write(b"a" * GATHER)
    await writer.write(b"lost with the process")
    checkpoint = await writer.checkpoint()
    assert checkpoint["offset"] == GATHER
    resumed = await TemporaryFileSink(tmp_path / "uploads").resume(INFO, checkpoint)
    assert resumed.offset == GATHER
    await resumed.write(b"b" * 2 * GATHER)
    file = await resumed.finish()
    assert await file.aread() == b"a" * GATHER + b"b" * 2 * GATHER
    file.close()
    await file.adelete()
    assert list((tmp_path / "uploads").iterdir()) == []


SUSPEND = """
import asyncio, dataclasses, json, sys
from djust_uploads import TemporaryFileSink
from tests.test_temporary_file_resume import GATHER, INFO

async def main():
    sink = TemporaryFileSink(sys.argv[1])
    await sink.open(dataclasses.replace(INFO, key="nobody can go on with it"))
    writer = await sink.open(INFO)
    await writer.write(b"a" * GATHER)
    print(json.dumps(await writer.checkpoint()))

asyncio.run(main())
"""


def suspend_elsewhere(directory):
    command = [sys.executable, "-c", SUSPEND, str(directory)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


async def test_a_suspended_file_outlives_its_process_and_others_do_not(sink, tmp_path):
    checkpoint = suspend_elsewhere(tmp_path / "uploads")
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [checkpoint["name"]]
    resumed = await sink.resume(INFO, checkpoint)
    assert resumed.offset == GATHER
    await resumed.abort()
