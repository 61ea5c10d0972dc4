"""The memory sink beyond the contract: files that have a mapping of their own."""

from __future__ import annotations

import io
import random
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from djust_uploads import MemorySink, UploadInfo
from djust_uploads.exceptions import SinkFull
from djust_uploads.files import MemoryFile, _MemoryReader
from djust_uploads.sinks.memory import MAPPED_FROM

MB = 1_000_000

DATA = random.Random(7).randbytes(MAPPED_FROM + 12345)


def info(size):
    return UploadInfo("files", "a.bin", "a.bin", "", "application/octet-stream", size)


async def store(data, size=100_003):
    writer = await MemorySink().open(info(len(data)))
    for start in range(0, len(data), size):
        await writer.write(memoryview(data)[start : start + size])
    return await writer.finish()


def resident():
    """Bytes of memory that this process has."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.parametrize("size", [MAPPED_FROM - 1, MAPPED_FROM, MAPPED_FROM + 1])
async def test_sizes_around_the_mapping(size):
    file = await store(DATA[:size])
    assert file.size == size
    assert file.read() == DATA[:size]


async def test_memory_is_taken_by_bytes_that_came_and_given_back():
    before = resident()
    writer = await MemorySink().open(info(400 * MB))
    assert resident() - before < 5 * MB
    for _ in range(100):
        await writer.write(bytes(MB))
    assert 95 * MB < resident() - before < 110 * MB
    await writer.abort()
    assert resident() - before < 10 * MB


async def test_memory_is_given_back_by_a_deleted_file():
    before = resident()
    file = await store(bytes(100 * MB), MB)
    assert file.read(1) == b"\0"
    await file.adelete()
    await file.adelete()
    assert resident() - before < 10 * MB


async def test_more_than_there_is():
    with pytest.raises(SinkFull):
        await MemorySink().open(info(1 << 62))


async def test_two_readers_have_two_positions():
    file = await store(DATA)
    with file.open_stored() as one, file.open_stored() as other:
        assert one.read(1000) == DATA[:1000]
        assert other.read() == DATA
        assert one.read(10) == DATA[1000:1010]


async def test_libraries_read_it():
    pixels = random.Random(1).randbytes(400 * 400 * 3)
    image = io.BytesIO()
    Image.frombytes("RGB", (400, 400), pixels).save(image, "PNG")
    file = await store(image.getvalue())
    assert file.size > MAPPED_FROM
    assert Image.open(file).convert("RGB").tobytes() == pixels
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("data", DATA)
    file = await store(archive.getvalue())
    assert zipfile.ZipFile(file).read("data") == DATA
    assert b"".join([chunk async for chunk in file.achunks()]) == archive.getvalue()


@given(
    st.lists(
        st.tuples(st.integers(-9, 12), st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]))
        | st.integers(-1, 12)
    )
)
def test_reader_does_what_a_bytesio_does(steps):
    reader, model = _MemoryReader(bytearray(b"0123456789")), io.BytesIO(b"0123456789")
    for step in steps:
        if isinstance(step, int):
            assert reader.read(step) == model.read(step)
        elif step[1] == io.SEEK_SET and step[0] < 0:
            with pytest.raises(OSError, match="before the start"):
                reader.seek(*step)
        elif model.tell() + step[0] >= 0 and 10 + step[0] >= 0:
            assert reader.seek(*step) == model.seek(*step)
        assert reader.tell() == model.tell()


def test_bytes():
    file = MemoryFile("a", b"abc")
    assert (file.size, file.read()) == (3, b"abc")
