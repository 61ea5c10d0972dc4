"""Reading a stored object by ranges."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from hypothesis import given
from hypothesis import strategies as st

from djust_uploads.ranges import BLOCK, MAX_AHEAD, RangeReader

DATA = os.urandom(3 * BLOCK + 17)


class Ranges:
    """Serves the ranges of a file, and remembers which."""

    def __init__(self, stored) -> None:
        self.stored = stored
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        self.stored.seek(start)
        return self.stored.read(end - start)


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 2 * BLOCK)),
        st.tuples(st.just("seek"), st.integers(0, len(DATA) + 10)),
        st.tuples(st.just("from end"), st.integers(-len(DATA), 0)),
    ),
    max_size=12,
)


@given(_steps)
def test_it_reads_as_a_file_in_memory_does(steps):
    reader, model = RangeReader(len(DATA), Ranges(io.BytesIO(DATA))), io.BytesIO(DATA)
    for verb, number in steps:
        if verb == "read":
            assert reader.read(number) == model.read(number)
        elif verb == "seek":
            assert reader.seek(number) == model.seek(number)
        else:
            assert reader.seek(number, io.SEEK_END) == model.seek(number, io.SEEK_END)
        assert reader.tell() == model.tell()


def test_reading_in_order_asks_for_more_each_time(tmp_path):
    size = 40 * MAX_AHEAD
    with (tmp_path / "sparse").open("w+b") as stored:
        stored.truncate(size)
        ranges = Ranges(stored)
        reader = RangeReader(size, ranges)
        while reader.read(BLOCK):
            pass
    sizes = [end - start for start, end in ranges.asked]
    assert sizes[:3] == [BLOCK, 2 * BLOCK, 4 * BLOCK]
    assert max(sizes) == MAX_AHEAD
    assert sum(sizes) == size


def test_opening_and_seeking_ask_for_nothing():
    ranges = Ranges(io.BytesIO(DATA))
    reader = RangeReader(len(DATA), ranges)
    reader.seek(0, io.SEEK_END)
    assert reader.read() == b""
    assert ranges.asked == []


def test_a_gigabyte_of_zip_is_listed_by_a_handful_of_small_requests(tmp_path):
    with (tmp_path / "sparse.zip").open("w+b") as stored:
        # An archive may stand behind other bytes; these cost no disk.
        stored.seek(1024**3)
        with zipfile.ZipFile(stored, "w") as archive:
            for number in range(500):
                archive.writestr(f"file {number}", b"content")
        ranges = Ranges(stored)
        with zipfile.ZipFile(RangeReader(stored.tell(), ranges)) as archive:
            assert len(archive.namelist()) == 500
            listed = len(ranges.asked)
            assert archive.read("file 7") == b"content"
    assert listed <= 5
    assert sum(end - start for start, end in ranges.asked) <= 8 * BLOCK


def test_what_was_asked_for_in_one_piece_is_not_kept():
    data = bytes(MAX_AHEAD + 1)
    reader = RangeReader(len(data), Ranges(io.BytesIO(data)))
    assert reader.read() == data
    assert reader._ahead == b""


def test_a_failed_request_loses_no_place():
    class Failing(Ranges):
        failures = 1

        def __call__(self, start, end):
            if start and self.failures:
                self.failures -= 1
                raise OSError("the store failed")
            return super().__call__(start, end)

    reader = RangeReader(len(DATA), Failing(io.BytesIO(DATA)))
    assert reader.read(BLOCK - 1) == DATA[: BLOCK - 1]
    with pytest.raises(OSError, match="the store failed"):
        reader.read(100)
    assert reader.read() == DATA[BLOCK - 1 :]


def test_a_short_answer_is_an_error_and_not_a_short_file():
    reader = RangeReader(100, lambda start, end: b"x")
    with pytest.raises(OSError, match="1 bytes came for the range 0-100"):
        reader.read()


async def test_on_an_event_loop_it_says_what_to_call_instead():
    reader = RangeReader(len(DATA), Ranges(io.BytesIO(DATA)))
    with pytest.raises(SynchronousOnlyOperation, match=r"aread\(\).*achunks\(\).*adelete\(\)"):
        reader.read(1)
    assert await asyncio.to_thread(reader.read, 3) == DATA[:3]


def test_closed_is_closed():
    reader = RangeReader(len(DATA), Ranges(io.BytesIO(DATA)))
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read()
