"""Chunks become parts; parts that landed become an offset. Numbers only."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djust_uploads.sinks.parts import MIB, Part, PartBody, PartGatherer, Prefix, part_size_for


@given(st.binary(max_size=300), st.integers(1, 70), st.lists(st.integers(1, 90), max_size=40))
def test_parts_are_equal_and_hold_the_file(data, part_size, cuts):
    gatherer = PartGatherer(len(data), part_size)
    positions = [0, *itertools.takewhile(lambda p: p < len(data), itertools.accumulate(cuts))]
    chunks = [data[a:b] for a, b in itertools.pairwise([*positions, len(data)])]
    parts = [part for chunk in chunks for part in gatherer.feed(chunk)]

    assert b"".join(part.body().read() for part in parts) == data
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.offset for part in parts] == [part_size * i for i in range(len(parts))]
    assert all(part.size == len(part.body()) == sum(map(len, part.chunks)) for part in parts)
    assert all(part.size == part_size for part in parts[:-1])
    assert gatherer.received == len(data)


def test_gathering_goes_on_from_a_part():
    gatherer = PartGatherer(25, 10, 10)
    parts = list(gatherer.feed(b"b" * 10 + b"c" * 5))
    assert [(p.number, p.offset, p.body().read()) for p in parts] == [
        (2, 10, b"b" * 10),
        (3, 20, b"c" * 5),
    ]


def test_more_bytes_than_declared_are_refused_whole():
    gatherer = PartGatherer(10, 4)
    with pytest.raises(ValueError, match="11 bytes of 10"):
        list(gatherer.feed(b"x" * 11))
    assert gatherer.received == 0


def test_whole_chunks_are_not_copied():
    chunks = [bytes(10), bytes(5)]
    gatherer = PartGatherer(15, 15)
    (part,) = [part for chunk in chunks for part in gatherer.feed(chunk)]
    assert all(kept is chunk for kept, chunk in zip(part.chunks, chunks, strict=True))


@given(
    st.lists(st.binary(min_size=1, max_size=9), max_size=6),
    st.lists(st.tuples(st.sampled_from("rse"), st.integers(-1, 60)), max_size=8),
)
async def test_a_body_reads_as_a_file_in_memory_does(chunks, steps):
    data = b"".join(chunks)
    body, model = PartBody(chunks, len(data)), io.BytesIO(data)
    for verb, number in steps:
        if verb == "r":
            assert body.read(number) == model.read(number)
        elif verb == "s":
            assert body.seek(max(0, number)) == model.seek(max(0, number))
        else:
            assert body.seek(0, io.SEEK_END) == model.seek(0, io.SEEK_END)
        assert body.tell() == model.tell()
    assert len(body) == len(data)
    assert [chunk async for chunk in body] == chunks


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 8 * MIB),
        (10_000 * 8 * MIB, 8 * MIB),
        (10_000 * 8 * MIB + 1, 9 * MIB),
        (1024**4, 105 * MIB),
        (5 * 1024**4, 525 * MIB),
    ],
)
def test_the_part_size_grows_so_that_the_file_fits(size, expected):
    assert part_size_for(size, 8 * MIB, 10_000) == expected
    assert -(-size // expected) <= 10_000


@given(st.permutations(range(1, 8)))
def test_the_offset_never_counts_what_lies_beyond_a_gap(order):
    prefix, landed = Prefix(), set()
    for number in order:
        prefix.land(Part(number, 0, 10 + number, []))
        landed.add(number)
        whole = list(itertools.takewhile(landed.__contains__, itertools.count(1)))
        assert prefix.parts == len(whole)
        assert prefix.offset == sum(10 + n for n in whole)


def test_a_part_that_lands_twice_counts_once():
    prefix = Prefix()
    for number in (1, 1, 2, 2, 1):
        prefix.land(Part(number, 0, 5, []))
    assert (prefix.parts, prefix.offset) == (2, 10)
