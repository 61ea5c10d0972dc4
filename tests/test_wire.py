"""The wire. ``vectors/wire.json`` is what the JavaScript side is tested with, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djust_uploads import wire
from djust_uploads.exceptions import DigestMismatch, InvalidMessage, SizeMismatch
from djust_uploads.slots.entry import UploadEntry
from djust_uploads.wire import Frame, FrameType, Registration

VECTORS = json.loads((Path(__file__).parent / "vectors" / "wire.json").read_text())
REF = "00112233-4455-6677-8899-aabbccddeeff"

REGISTER = {
    "type": "upload_register",
    "upload_name": "photos",
    "ref": REF,
    "client_name": "cat.jpg",
    "client_type": "image/jpeg",
    "client_size": 1000,
}


def by_name(vectors):
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def assert_same(message: bytes, frame: Frame) -> None:
    """Parsing and serialising are each other's reverse."""
    assert (wire.parse(message), wire.serialize(frame)) == (frame, message)


@pytest.mark.parametrize("vector", by_name(VECTORS["valid"]))
def test_valid_vector(vector):
    message = bytes.fromhex(vector["hex"])
    data = bytes.fromhex(vector.get("data", ""))
    assert_same(
        message,
        Frame(FrameType[vector["type"].upper()], vector["ref"], vector.get("index", 0), data),
    )
    assert wire.is_upload_frame(message)


@pytest.mark.parametrize("vector", by_name(VECTORS["invalid"]))
def test_invalid_vector(vector):
    with pytest.raises(InvalidMessage):
        wire.parse(bytes.fromhex(vector["hex"]))


uuids = st.uuids().map(str)


@given(uuids, st.integers(0, 2**32 - 1), st.binary(max_size=100))
def test_any_chunk(ref, index, data):
    frame = Frame(FrameType.CHUNK, ref, index, data)
    assert_same(wire.serialize(frame), frame)


@given(st.sampled_from([FrameType.COMPLETE, FrameType.CANCEL]), uuids)
def test_any_bare_frame(frame_type, ref):
    frame = Frame(frame_type, ref)
    assert_same(wire.serialize(frame), frame)


@given(st.binary(max_size=60))
def test_bytes_are_a_frame_that_serialises_to_them_or_are_refused(message):
    try:
        frame = wire.parse(message)
    except (InvalidMessage, DigestMismatch):
        return
    assert_same(message, frame)


@given(uuids, st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=100), st.data())
def test_damage_is_found(ref, index, data, draw):
    message = bytearray(wire.serialize(Frame(FrameType.CHECKED_CHUNK, ref, index, data)))
    assert_same(bytes(message), Frame(FrameType.CHECKED_CHUNK, ref, index, data))
    message[draw.draw(st.integers(21, len(message) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(DigestMismatch):
        wire.parse(bytes(message))


@given(st.binary(max_size=60).map(lambda tail: b"\x01" + tail))
def test_chunk_like_bytes(message):
    assert wire.is_upload_frame(message) is (len(message) >= 17)
    assert wire.ref_of(message) == ("" if len(message) < 17 else wire.ref_of(message[:17]))


@pytest.mark.parametrize("message", [b"", b"\x01", b"\x80" + bytes(40), b"\x05" + bytes(40)])
def test_other_binary_messages_are_not_ours(message):
    assert not wire.is_upload_frame(message)


def test_a_frame_of_several_chunks_is_those_chunks_in_a_row():
    [vector] = [one for one in VECTORS["valid"] if one["name"].startswith("three chunks")]
    frame = wire.parse(bytes.fromhex(vector["hex"]))
    entry = UploadEntry(Registration("photos", REF, "", "", 15), 2, max_frame_size=6)
    for index in range(frame.index):
        entry.accept_chunk(index, 2)
    entry.accept_chunk(frame.index, len(frame.data))
    entry.accept_chunk(frame.index + 3, 1)
    entry.accept_complete()


def test_header_size_is_the_length_of_an_empty_chunk():
    assert len(wire.serialize(Frame(FrameType.CHUNK, REF))) == wire.HEADER_SIZE == 21


@pytest.mark.parametrize("spelling", [REF, REF.upper(), REF.replace("-", ""), f"{{{REF}}}"])
def test_ref_has_one_spelling(spelling):
    assert wire.parse_ref(spelling) == REF


@pytest.mark.parametrize("value", [None, "", "x", REF[:-1], REF + "0", 7, b"", [REF], {"ref": REF}])
def test_not_a_ref(value):
    with pytest.raises(InvalidMessage, match="ref is not a UUID"):
        wire.parse_ref(value)


def test_registration():
    assert Registration.parse(REGISTER) == Registration(
        upload_name="photos",
        ref=REF,
        client_name="cat.jpg",
        client_type="image/jpeg",
        client_size=1000,
    )


def test_registration_with_what_is_optional():
    registration = Registration.parse(
        REGISTER | {"client_relative_path": "cats/cat.jpg", "resumable": True, "extra": [1]}
    )
    assert registration.client_relative_path == "cats/cat.jpg"
    assert registration.resumable is True


@pytest.mark.parametrize("value", [1, "true", None, [], {}, False])
def test_only_true_means_resumable(value):
    assert Registration.parse(REGISTER | {"resumable": value}).resumable is False


@pytest.mark.parametrize("key", ["upload_name", "client_name", "client_type"])
def test_missing_text_is_empty(key):
    message = {k: v for k, v in REGISTER.items() if k != key}
    assert getattr(Registration.parse(message), key) == ""
    assert getattr(Registration.parse(message | {key: None}), key) == ""


@pytest.mark.parametrize("value", [-1, 1.0, 1e300, float("nan"), "1", True, False, None, [], {}])
def test_client_size_that_is_no_size(value):
    with pytest.raises(InvalidMessage, match="client_size is not a size"):
        Registration.parse(REGISTER | {"client_size": value})


@pytest.mark.parametrize("key", ["ref", "client_size"])
def test_key_that_may_not_be_missing(key):
    with pytest.raises(InvalidMessage, match=key):
        Registration.parse({k: v for k, v in REGISTER.items() if k != key})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(REGISTER, json_values)))
def test_hostile_json_is_refused_or_has_the_right_types(changes):
    try:
        registration = Registration.parse(REGISTER | changes)
    except InvalidMessage as error:
        assert len(str(error)) < 200
        return
    assert registration.client_size >= 0
    assert type(registration.client_size) is int
    for key in ("upload_name", "client_name", "client_type", "client_relative_path", "ref"):
        assert type(getattr(registration, key)) is str


def test_failed_carries_the_code_and_the_users_sentence_and_not_the_log():
    message = wire.failed(REF, SizeMismatch("ten bytes of eleven"), "photos")
    assert message == {
        "type": "upload_progress",
        "ref": REF,
        "upload_name": "photos",
        "status": "error",
        "progress": 0,
        "code": "size_mismatch",
        "error": SizeMismatch.message,
    }


def test_messages_are_json():
    for message in (
        wire.registered(REF, "photos", offset=0, limit=10, chunk_size=5, max_frame_size=20),
        wire.progress(REF, "photos", "uploading", progress=50, offset=5, limit=10),
        wire.consumed("photos", [REF]),
        wire.not_resumed(REF),
    ):
        assert json.loads(json.dumps(message)) == message
        assert message["type"].startswith("upload_")
