"""The states of an upload: which may follow which, and that no other move is possible."""

from __future__ import annotations

import inspect
import itertools
import re

import pytest

from djust_uploads import MemoryFile, UploadEntry
from djust_uploads.exceptions import UploadCancelled, UploadError
from djust_uploads.slots.status import Status
from djust_uploads.wire import Registration

REF = "00112233-4455-6677-8899-aabbccddeeff"

#: The moves in the table of ``Status``'s docstring.
MOVES = set(re.findall(r"^``(\w+)``\s+``(\w+)``", inspect.getdoc(Status), re.MULTILINE))

#: How an entry is moved to a state.
STEPS = {
    "FINALIZING": UploadEntry.finalize,
    "COMPLETE": UploadEntry.finish,
    "CONSUMED": UploadEntry.consume,
    "ERROR": lambda entry: entry.fail(UploadError("it failed")),
    "CANCELLED": lambda entry: entry.fail(UploadCancelled("it was cancelled")),
}

#: The steps that lead to a state from the beginning.
WAYS = {
    "UPLOADING": [],
    "FINALIZING": ["FINALIZING"],
    "COMPLETE": ["FINALIZING", "COMPLETE"],
    "CONSUMED": ["FINALIZING", "COMPLETE", "CONSUMED"],
    "ERROR": ["ERROR"],
    "CANCELLED": ["CANCELLED"],
}


def entry_in(state: str) -> UploadEntry:
    entry = UploadEntry(Registration("photos", REF, "cat.jpg", "image/jpeg", 3), 64)
    entry.store(MemoryFile("cat.jpg", b"cat"), keeps_file=False)
    for step in WAYS[state]:
        STEPS[step](entry)
    assert entry.status is Status[state]
    return entry


def test_the_table_has_every_move():
    assert {(a.name, b.name) for a in Status for b in Status if a.may_become(b)} == MOVES


@pytest.mark.parametrize(("before", "after"), [*itertools.product(WAYS, STEPS)])
def test_an_entry_moves_as_the_table_says_and_not_otherwise(before, after):
    entry = entry_in(before)
    if (before, after) in MOVES:
        STEPS[after](entry)
        assert entry.status is Status[after]
    else:
        with pytest.raises(AssertionError, match="cannot become"):
            STEPS[after](entry)
        assert entry.status is Status[before]
