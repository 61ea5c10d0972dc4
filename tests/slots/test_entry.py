"""One file's numbers, without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djust_uploads.exceptions import (
    ChunkOutOfOrder,
    ChunkTooLarge,
    NotComplete,
    ProtocolError,
    SizeMismatch,
    TooManyChunks,
    UploadCancelled,
)
from djust_uploads.files import MemoryFile
from djust_uploads.slots.entry import UploadEntry
from djust_uploads.slots.status import Status
from djust_uploads.wire import Registration

REF = "00112233-4455-6677-8899-aabbccddeeff"


def make(
    size: int = 100, chunk_size: int = 10, max_frame_size: int = 0, **keys: str
) -> UploadEntry:
    options = {"client_name": "cat.jpg", "client_type": "image/jpeg", **keys}
    return UploadEntry(
        Registration("photos", REF, client_size=size, **options), chunk_size, max_frame_size
    )


def test_claimed_type_is_as_long_as_a_type_can_be():
    """It is kept in the resume cache."""
    assert make(client_type="x" * 60_000).client_type == "x" * 255


def test_new_entry():
    entry = make()
    assert (entry.ref, entry.upload_name, entry.client_size) == (REF, "photos", 100)
    assert (entry.status, entry.progress, entry.offset, entry.received) == ("uploading", 0, 0, 0)
    assert (entry.complete, entry.error, entry.error_code, entry.sha256) == (
        False,
        None,
        None,
        None,
    )
    assert entry.content_type == ""


def test_client_s_words_are_cleaned():
    entry = make(
        client_name="../x y.JPG",
        client_type="Image/JPEG; charset=x",
        client_relative_path="../cats//./x\x00/y.jpg",
    )
    assert entry.client_name == "x y.JPG"
    assert entry.safe_client_name == "x_y.JPG"
    assert entry.client_type == "image/jpeg"
    assert entry.client_relative_path == "cats/x/y.jpg"


def test_chunks_in_order():
    entry = make(25)
    for index, size in enumerate([10, 10, 5]):
        entry.accept_chunk(index, size)
    entry.accept_complete()
    assert entry.received == 25


@pytest.mark.parametrize("index", [0, 2, 2**32 - 1])
def test_gap_and_repetition(index):
    entry = make()
    entry.accept_chunk(0, 10)
    with pytest.raises(ChunkOutOfOrder, match=f"chunk {index} of .* instead of 1"):
        entry.accept_chunk(index, 10)
    assert entry.received == 10


def test_oversized_chunk():
    with pytest.raises(ChunkTooLarge, match=r"chunk of 11 bytes .*, over 10"):
        make().accept_chunk(0, 11)


def test_a_frame_of_several_chunks_counts_as_so_many():
    entry = make(65, max_frame_size=30)
    entry.accept_chunk(0, 30)
    entry.accept_chunk(3, 10)
    entry.accept_chunk(4, 25)  # the last chunk of the file is short
    entry.accept_complete()
    assert entry.received == 65


def test_the_short_chunks_of_a_client_that_sends_single_ones_stay_chunks():
    entry = make(max_frame_size=30)
    entry.accept_chunk(0, 7)
    entry.accept_chunk(1, 20)
    entry.accept_chunk(3, 10)
    assert entry.received == 37


@pytest.mark.parametrize(
    ("size", "reason"), [(31, "of 31 bytes .*, over 30"), (25, "25 bytes .* are not whole chunks")]
)
def test_a_frame_that_is_too_long_or_not_of_whole_chunks(size, reason):
    entry = make(max_frame_size=30)
    with pytest.raises(ChunkTooLarge, match=reason):
        entry.accept_chunk(0, size)
    assert entry.received == 0


@pytest.mark.parametrize("start", [40, 47])
def test_a_resumed_client_may_begin_in_the_middle_of_a_chunk_and_of_a_frame(start):
    entry = make(max_frame_size=60)
    entry.accept_chunk(0, 50)
    entry.restore(start, complete=False)
    assert entry.resume() == start
    entry.accept_chunk(4, 30)
    entry.accept_chunk(7, 100 - start - 30)
    entry.accept_complete()
    assert entry.received == 100


def test_a_resumed_client_repeats_a_part_of_a_frame():
    entry = make(max_frame_size=60)
    entry.accept_chunk(0, 60)
    entry.take(20, 20)
    assert entry.resume() == 60
    # From what is durable, instead.
    assert entry.accept_chunk(2, 60) == 40
    assert entry.received == 80
    entry.accept_chunk(8, 20)
    entry.accept_complete()


def test_more_than_declared():
    entry = make(15)
    entry.accept_chunk(0, 10)
    with pytest.raises(SizeMismatch, match=r"16 bytes .* of 15"):
        entry.accept_chunk(1, 6)


def test_fewer_than_declared():
    entry = make(15)
    entry.accept_chunk(0, 10)
    with pytest.raises(SizeMismatch, match=r"10 bytes .* of 15"):
        entry.accept_complete()


def test_after_the_end():
    entry = make(0)
    entry.accept_complete()
    with pytest.raises(ChunkOutOfOrder, match="after the end"):
        entry.accept_chunk(0, 0)
    with pytest.raises(ChunkOutOfOrder, match="second complete"):
        entry.accept_complete()


def test_crumbs():
    entry = make(1_000_000, 65536)
    with pytest.raises(TooManyChunks):
        for index in range(2000):
            entry.accept_chunk(index, 1)
    assert 1024 <= entry.received < 1100


@pytest.mark.parametrize("chunk_size", [1, 16, 255, 256, 65536])
def test_chunks_as_large_as_the_slot_allows_are_never_crumbs(chunk_size):
    entry = make(chunk_size * 3000, chunk_size)
    for index in range(3000):
        entry.accept_chunk(index, chunk_size)
    entry.accept_complete()


@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), max_size=10),
)
def test_received_is_a_contiguous_prefix_whatever_comes(size, chunks):
    entry = make(size)
    accepted = []
    for index, length in chunks:
        try:
            entry.accept_chunk(index, length)
        except ProtocolError:
            continue
        accepted.append((index, length))
    assert [index for index, _ in accepted] == list(range(len(accepted)))
    assert entry.received == sum(length for _, length in accepted) <= size
    if entry.received == size:
        entry.accept_complete()
    else:
        with pytest.raises(SizeMismatch):
            entry.accept_complete()


def test_progress_counts_what_the_sink_took():
    entry = make(200)
    entry.accept_chunk(0, 10)
    assert entry.progress == 0
    entry.take(10, 0)
    assert (entry.progress, entry.offset) == (5, 0)
    entry.take(189, 100)
    assert (entry.progress, entry.offset) == (99, 100)
    entry.take(1, 200)
    assert entry.progress == 100


def test_progress_of_an_empty_file():
    entry = make(0)
    assert entry.progress == 0
    entry.finalize()
    entry.store(MemoryFile("a", b""), keeps_file=False)
    entry.finish()
    assert entry.progress == 100


def test_complete():
    entry = make(3)
    file = MemoryFile("a", b"abc", metadata={"writer_result": 7})
    entry.finalize()
    assert (entry.status, entry.complete) == (Status.FINALIZING, False)
    entry.store(file, keeps_file=True)
    entry.finish()
    assert (entry.status, entry.complete, entry.offset) == (Status.COMPLETE, True, 3)
    assert entry.file is file
    assert entry.data == entry.data == b"abc"
    assert entry.keeps_file
    assert entry.writer_result == 7


@pytest.mark.parametrize("name", ["file", "data"])
def test_too_early(name):
    with pytest.raises(NotComplete):
        getattr(make(), name)


def test_failed_and_cancelled():
    entry = make()
    entry.fail(SizeMismatch("the log"))
    assert (entry.status, entry.error_code) == (Status.ERROR, "size_mismatch")
    assert entry.error == SizeMismatch.message
    entry = make()
    entry.fail(UploadCancelled())
    assert (entry.status, entry.error_code) == (Status.CANCELLED, "cancelled")


def test_postpone_counts_once():
    entry = make()
    assert not entry.take_postponed()
    entry.postpone()
    assert entry.take_postponed()
    assert not entry.take_postponed()


def test_repr_shows_no_control_characters():
    assert repr(make(client_name="a\r\nb.jpg")) == f"<UploadEntry photos/'ab.jpg' uploading {REF}>"


def test_template_state_is_plain():
    assert make().template_state() == {
        "ref": REF,
        "client_name": "cat.jpg",
        "client_type": "image/jpeg",
        "client_size": 100,
        "content_type": "",
        "progress": 0,
        "status": "uploading",
        "complete": False,
        "error": None,
        "error_code": None,
        "writer_result": None,
    }
    assert type(make().template_state()["status"]) is str


async def test_save(tmp_path):
    from django.core.files.storage import FileSystemStorage

    storage = FileSystemStorage(tmp_path)
    entry = make(3)
    entry.finalize()
    entry.store(MemoryFile("a", b"abc"), keeps_file=False)
    entry.finish()
    assert await entry.asave(storage=storage) == "cat.jpg"
    assert await entry.asave("cats/first.jpg", storage) == "cats/first.jpg"
    assert (tmp_path / "cat.jpg").read_bytes() == b"abc"
    assert (tmp_path / "cats" / "first.jpg").read_bytes() == b"abc"
