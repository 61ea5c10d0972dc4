"""A process that writes into a sink is killed, over and over; the next one goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import random
import subprocess
import sys

import pytest

from djust_uploads import UploadInfo
from tests.support.crashing_writer import MIB, data_of, made
from tests.support.s3_stores import empty
from tests.support.servers import ROOT


@pytest.fixture(params=["temporary", "s3", "gcs"])
def place(request, tmp_path, monkeypatch):
    """A backend and its options."""
    if request.param == "temporary":
        (tmp_path / "uploads").mkdir()
        return request.param, {"directory": str(tmp_path / "uploads")}
    if request.param == "s3":
        store = request.getfixturevalue("seaweedfs_store")
        empty(store)
        monkeypatch.setenv("AWS_CA_BUNDLE", store.ca_bundle)
        return request.param, store.options
    store = request.getfixturevalue("gcs_emulator")
    store.empty()
    return request.param, {"api_endpoint": store.url}


def run_until_killed(arguments, chunks):
    """The offsets that it told of before it was killed, after so many of them; and whether it was
    done."""
    told = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.crashing_writer", json.dumps(arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    ) as process:
        try:
            for line in process.stdout:
                if line == "done\n":
                    return told, True
                told.append(int(line))
                if len(told) == chunks:
                    return told, False
        finally:
            process.kill()
    raise AssertionError(f"It ended after it told {told}.")


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_and_resumed(place, tmp_path, seed):
    dice = random.Random(seed)
    size = dice.randrange(25 * MIB, 40 * MIB)
    info = UploadInfo("slot", "a.bin", "a.bin", "", "application/octet-stream", size)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_text("null")
    arguments = [*place, dataclasses.asdict(info), str(checkpoint)]
    durable, done, runs = 0, False, 0
    while not done:
        told, done = run_until_killed(arguments, dice.randrange(1, 250))
        assert told[0] >= durable
        durable, runs = told[-1], runs + 1
    assert runs > 2
    asyncio.run(look(place, info, json.loads(checkpoint.read_text())))


async def look(place, info, checkpoint):
    """The finished file comes back, and is what was written."""
    sink = made(*place)
    writer = await sink.resume(info, checkpoint)
    assert writer.offset == info.size
    file = await writer.finish()
    content = await file.aread()
    assert hashlib.sha256(content).digest() == hashlib.sha256(data_of(info.size)).digest()
    file.close()
    await file.adelete()
    await sink.aclose()
