"""What a hostile or broken client sends, through a real socket.

Each thing costs its own entry, with one typed error; an upload that is under way on the same
connection arrives whole, the connection lives on, and no temporary file is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from djust_uploads.wire import Frame, FrameType, serialize

CHUNK = 64 * 1024
DATA = os.urandom(3 * CHUNK)


@pytest.fixture
async def sibling(page, plain_site):
    """An honest upload on the same connection: half sent before the test, half after it."""
    data = os.urandom(8 * CHUNK + 5)
    ref = await page.register("default", "sibling.bin", len(data))
    await page.send_chunks(ref, data, until=4 * CHUNK)
    yield ref
    await page.send_chunks(ref, data)
    await page.complete(ref)
    await page.event("report", slot="default")
    message = await page.wait_for(type="push_event", event="consumed")
    assert message["payload"]["ref"] == ref
    assert message["payload"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert [m["status"] for m in page.endings(ref)] == ["complete"]
    assert await plain_site.no_temporary_files()


async def chunk(page, ref, index, data=b"x" * CHUNK):
    await page.send_frame(FrameType.CHUNK, ref, index, data)


async def all_handled(page):
    """Return when the server has handled everything that was sent so far."""
    assert (await page.event("ping"))["type"] == "noop"


def codes(page, ref):
    """How the upload ended: error codes, or the status if there was no error. One, at most."""
    return [m.get("code", m["status"]) for m in page.endings(ref)]


async def ends_with(page, ref, code):
    """The upload ends so, once, and what comes later does not end it again."""
    with contextlib.suppress(UploadFailed):
        await page.ended(ref)
    await page.hostile.go_on_after_the_end(ref)
    await all_handled(page)
    assert codes(page, ref) == [code]


@pytest.mark.parametrize(
    "order",
    [[1], [0, 2], [0, 0], [1, 0, 2], [0, 2, 1], [0, 2**32 - 1]],
    ids=["first-skipped", "skipped", "repeated", "reordered", "last-two-swapped", "far-ahead"],
)
async def test_chunks_out_of_order(page, sibling, order):
    ref = await page.register("default", "a.bin", len(DATA))
    for index in order:
        await chunk(page, ref, index)
    await ends_with(page, ref, "chunk_out_of_order")


@pytest.mark.parametrize("size", [17, 18, 20])
async def test_truncated_chunk_frame(page, sibling, size):
    ref = await page.register("default", "a.bin", len(DATA))
    await page.send_raw(serialize(Frame(FrameType.CHUNK, ref, 0, b"x"))[:size])
    await ends_with(page, ref, "invalid_message")


@pytest.mark.parametrize("frame_type", [FrameType.COMPLETE, FrameType.CANCEL])
async def test_frame_with_a_tail(page, sibling, frame_type):
    ref = await page.register("default", "a.bin", len(DATA))
    await page.send_raw(serialize(Frame(frame_type, ref)) + b"tail")
    await ends_with(page, ref, "invalid_message")


@pytest.mark.parametrize("frame_type", FrameType)
async def test_ref_that_nobody_registered(page, sibling, frame_type):
    ref = str(uuid.uuid4())
    await page.send_frame(frame_type, ref)
    await ends_with(page, ref, "unknown_upload")


async def test_ref_of_another_connection(page, sibling, plain_site):
    async with UploadClient(plain_site.ws("/ws/")) as other:
        ref = await other.register("default", "theirs.bin", len(DATA))
        await other.send_chunks(ref, DATA, until=CHUNK)
        await page.hostile.use_foreign_ref(ref)
        await ends_with(page, ref, "unknown_upload")
        await other.send_chunks(ref, DATA)
        await other.complete(ref)
        await other.event("report", slot="default")
        message = await other.wait_for(event="consumed")
        assert message["payload"]["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("sent", [0, 1, 999])
async def test_short_file(page, sibling, sent):
    ref = await page.register("default", "a.bin", 1000)
    await page.send_chunks(ref, bytes(sent))
    await page.hostile.complete_early(ref)
    await ends_with(page, ref, "size_mismatch")


@pytest.mark.parametrize("declared", [0, 1000, 2 * CHUNK + 10])
async def test_long_file(page, sibling, declared):
    ref = await page.register("default", "a.bin", declared)
    await page.hostile.send_too_much(ref)
    await ends_with(page, ref, "size_mismatch")


@pytest.mark.parametrize("size", [0, 900_000])
async def test_oversized_chunk(page, sibling, size):
    ref = await page.register("default", "a.bin", 1_000_000)
    await page.hostile.send_oversized_chunk(ref, size)
    await ends_with(page, ref, "chunk_too_large")


async def test_register_storm(page, sibling):
    refs = await page.hostile.announce_and_stay_silent("memory", 400)
    await all_handled(page)
    admitted = [ref for ref in refs if not page.endings(ref)]
    assert len(admitted) == 3
    assert all(codes(page, ref) == ["too_many_files"] for ref in refs if ref not in admitted)
    for ref in admitted:
        await page.cancel(ref)
        await ends_with(page, ref, "cancelled")


async def announce(page, ref, upload_name="default", **keys):
    await page.announce(upload_name, "a.bin", 1000, ref=ref, **keys)


async def test_storm_of_unknown_refs(page, sibling):
    refs = [await page.hostile.use_foreign_ref() for _ in range(500)]
    await all_handled(page)
    assert all(codes(page, ref) == ["unknown_upload"] for ref in refs)


async def test_frames_after_the_end(page, sibling):
    ref = await page.upload("memory", "a.bin", DATA)
    await chunk(page, ref, 3)
    await chunk(page, ref, 0)
    await page.send_frame(FrameType.COMPLETE, ref)
    await all_handled(page)
    assert codes(page, ref) == ["complete"]
    await page.event("report", slot="memory")
    message = await page.wait_for(event="consumed")
    page.messages.remove(message)
    assert message["payload"]["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_complete_twice_before_the_sink_is_done(page, sibling):
    ref = await page.register("slow", "a.bin", 10)
    await chunk(page, ref, 0, b"0123456789")
    await page.send_frame(FrameType.COMPLETE, ref)
    await page.send_frame(FrameType.COMPLETE, ref)
    await ends_with(page, ref, "chunk_out_of_order")


async def test_chunk_between_complete_and_the_end(page, sibling):
    ref = await page.register("slow", "a.bin", 10)
    await chunk(page, ref, 0, b"0123456789")
    await page.send_frame(FrameType.COMPLETE, ref)
    await chunk(page, ref, 1, b"x")
    await ends_with(page, ref, "chunk_out_of_order")


async def test_cancel_then_chunks(page, sibling):
    ref = await page.register("default", "a.bin", len(DATA))
    await chunk(page, ref, 0)
    await page.cancel(ref)
    for index in (1, 2):
        await chunk(page, ref, index)
    await ends_with(page, ref, "cancelled")


async def test_cancel_of_a_complete_entry(page, sibling):
    ref = await page.upload("default", "a.bin", DATA)
    await page.cancel(ref)
    await page.wait_for(ref=ref, status="cancelled")
    await page.cancel(ref)
    await all_handled(page)
    assert codes(page, ref) == ["complete", "cancelled"]


async def test_duplicate_ref_of_a_running_upload(page, sibling):
    """The client can't tell the two apart: both end, with one error."""
    ref = await page.register("default", "a.bin", len(DATA))
    await chunk(page, ref, 0)
    await announce(page, ref)
    await ends_with(page, ref, "duplicate_ref")


async def test_duplicate_ref_of_a_complete_upload(page, sibling):
    """The registration is refused; the file that is there stays."""
    ref = await page.upload("memory", "a.bin", DATA)
    await announce(page, ref)
    await page.wait_for(ref=ref, code="duplicate_ref")
    await page.event("report", slot="memory")
    message = await page.wait_for(event="consumed")
    page.messages.remove(message)
    assert message["payload"]["sha256"] == hashlib.sha256(DATA).hexdigest()


WRONG = [
    {"client_size": value} for value in (-1, 1.5, "12", True, None, [], {}, 1e300, "x" * 10_000)
] + [
    {key: value}
    for key in ("upload_name", "client_name", "client_type", "client_relative_path")
    for value in (1, True, [], {"a": 1})
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong)[:40])
async def test_registration_with_wrong_types(page, sibling, wrong):
    ref = str(uuid.uuid4())
    await announce(page, ref, **wrong)
    await ends_with(page, ref, "invalid_message")


@pytest.mark.parametrize("ref", [None, "", "x", 7, [], {}, "0" * 31, "z" * 32, "x" * 50_000])
async def test_registration_whose_ref_is_no_uuid(page, sibling, ref):
    before = len(page.messages)
    for _ in range(2):
        await page.send({"type": "upload_register", "ref": ref, "client_size": 1000})
    await all_handled(page)
    refusals = [m for m in page.messages[before:] if m.get("code") == "invalid_message"]
    assert len(refusals) == 2
    assert all(len(m["ref"]) <= 64 for m in refusals)


async def test_wrong_registration_with_the_ref_of_a_running_upload(page, sibling):
    ref = await page.register("default", "a.bin", len(DATA))
    await announce(page, ref, client_size="big")
    await ends_with(page, ref, "invalid_message")


@pytest.mark.parametrize("name", ["", "nope", "__class__", "x" * 10_000, "\x00", "\ud800"])
async def test_unknown_slot(page, sibling, name):
    ref = str(uuid.uuid4())
    await announce(page, ref, upload_name=name)
    await ends_with(page, ref, "unknown_slot")


async def test_name_of_lone_surrogates(page, sibling):
    ref = str(uuid.uuid4())
    await announce(page, ref, upload_name="memory", client_name="\udfff\ud800.bin", client_size=1)
    await chunk(page, ref, 0, b"x")
    await page.complete(ref)
    await page.event("state", slot="memory")
    message = await page.wait_for(event="state")
    assert [entry["client_name"] for entry in message["payload"]["entries"]] == [".bin"]


async def test_declared_size_over_the_limit(page, sibling):
    for size in (1001, 2**63, 10**300):
        ref = str(uuid.uuid4())
        await announce(page, ref, upload_name="small", client_size=size)
        await ends_with(page, ref, "file_too_large")


BINARY = [b"", b"\x00", b"\x01", b"\x01" + bytes(15), b"\x05" + bytes(40), b"\xff" * 1000, b"{}"]


@pytest.mark.parametrize("garbage", BINARY, ids=lambda garbage: garbage[:8].hex())
async def test_binary_garbage(page, sibling, garbage):
    await page.send_raw(garbage)
    await all_handled(page)
    assert [m["type"] for m in page.messages].count("error") == 1


TEXT = [
    "",
    "hello",
    "{",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    '{"type": null}',
    '{"type": ["upload_register"]}',
    '{"type": "no such type"}',
    '{"type": "event", "event": "not_a_handler"}',
    '{"type": "event", "event": "allow_upload", "params": {"name": "mine"}}',
    '{"type": "event", "event": ["ping"]}',
    '{"type": "event", "event": "ping", "params": [1]}',
    '{"type": "event", "event": "report"}',
    "[" * 60_000,
    '{"type": "ping", "a": ' * 2_000,
    '{"type": "ping", "size": ' + "9" * 10_000 + "}",
    json.dumps({"type": "ping", "padding": "x" * 500_000}),
]


@pytest.mark.parametrize("garbage", TEXT, ids=lambda garbage: garbage[:30] or "empty")
async def test_text_garbage(page, sibling, garbage):
    await page.send_raw(garbage)
    await all_handled(page)
    assert [m["type"] for m in page.messages].count("error") == 1


async def test_file_in_crumbs(page, sibling):
    """A few crumbs are a slow client, thousands are an attack on memory."""
    ref = await page.register("default", "a.bin", 5000)
    await page.hostile.send_crumbs(ref, bytes(5000))
    await ends_with(page, ref, "too_many_chunks")


async def test_empty_chunks_without_end(page, sibling):
    ref = await page.register("default", "a.bin", 5000)
    for index in range(1500):
        await chunk(page, ref, index, b"")
    await ends_with(page, ref, "too_many_chunks")


async def test_small_file_in_crumbs_arrives(page, sibling):
    data = os.urandom(1000)
    ref = await page.register("memory", "a.bin", len(data))
    await page.hostile.send_crumbs(ref, data)
    await page.complete(ref)
    await page.event("report", slot="memory")
    message = await page.wait_for(event="consumed")
    page.messages.remove(message)
    assert message["payload"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert codes(page, ref) == ["complete"]


@pytest.mark.parametrize("slot", ["broken", "broken-content"])
async def test_application_mistake_in_a_validator(page, sibling, slot):
    ref = str(uuid.uuid4())
    await announce(page, ref, upload_name=slot, client_size=1)
    await chunk(page, ref, 0, b"x")
    await ends_with(page, ref, "upload_failed")


async def test_resume_of_nothing(page, sibling):
    assert (await page.resume(str(uuid.uuid4())))["status"] == "not_found"
