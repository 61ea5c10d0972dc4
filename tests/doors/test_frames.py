"""Frames of several chunks, lists of files, and files that come before their answer, through real
servers."""

from __future__ import annotations

import hashlib
import os
import uuid

import pytest

from djust_uploads.doors.messages import max_message_size
from djust_uploads.testing import UploadClient, UploadFailed
from djust_uploads.uploads.admission import MAX_FILES
from djust_uploads.uploads.connection import MAX_FRAME_SIZE
from djust_uploads.uploads.roster import EARLY_LIMIT
from djust_uploads.wire import FrameType
from tests.support.link import Link

CHUNK = 64 * 1024
MIB = 1024 * 1024
DATA = os.urandom(3 * MIB + 12_345)


async def reported(page, ref):
    await page.event("report", slot="default")
    event = await page.wait_for(type="push_event", event="consumed")
    assert event["payload"]["ref"] == ref
    return event["payload"]["sha256"]


async def test_a_frame_may_be_as_long_as_the_host_takes_it(page, plain_site):
    ref = await page.register("default", "data.bin", len(DATA))
    longest = {"uvicorn": MAX_FRAME_SIZE, "daphne": 15 * CHUNK}
    server = "daphne" if "daphne" in plain_site.uploads.parent.name else "uvicorn"
    assert page.max_frame_size(ref) == longest[server]


@pytest.mark.parametrize("frame_size", [3 * CHUNK, MIB, 16 * MIB])
async def test_frames_of_several_chunks_make_up_the_file(page, frame_size):
    ref = await page.upload("default", "data.bin", DATA, frame_size=frame_size)
    assert await reported(page, ref) == hashlib.sha256(DATA).hexdigest()


async def test_a_frame_that_is_longer_than_was_told(page):
    ref = await page.register("default", "data.bin", 100 * MIB)
    with pytest.raises(UploadFailed, match="chunk_too_large"):
        await page.send_frame(FrameType.CHUNK, ref, 0, bytes(page.max_frame_size(ref) + 1))
        await page.ended(ref)


async def test_a_frame_of_a_chunk_and_a_half(page):
    ref = await page.register("default", "data.bin", len(DATA))
    with pytest.raises(UploadFailed, match="chunk_too_large"):
        await page.send_frame(FrameType.CHUNK, ref, 0, bytes(CHUNK + CHUNK // 2))
        await page.ended(ref)
    # Nothing happens to the others.
    ref = await page.upload("default", "data.bin", DATA, frame_size=MIB)
    assert await reported(page, ref) == hashlib.sha256(DATA).hexdigest()


async def test_a_frame_that_is_cut_in_the_middle_counts_for_nothing(plain_site):
    async with Link([plain_site.port]) as link, UploadClient(link.ws("/ws/")) as page:
        await page.mounted()
        ref = await page.register("default", "data.bin", len(DATA))
        link.reset_after(100_000)
        with pytest.raises(ConnectionError):
            await page.send_chunks(ref, DATA, frame_size=4 * CHUNK)
            await page.ended(ref)
    assert await plain_site.no_temporary_files(5)


def described(name: str, data: bytes, slot: str = "default") -> dict:
    return {
        "upload_name": slot,
        "ref": str(uuid.uuid4()),
        "client_name": name,
        "client_type": "",
        "client_size": len(data),
    }


async def test_a_list_of_files_is_answered_by_a_list(page):
    files = [described("a.bin", b"a"), described("b.bin", b"b", "nothing"), {"ref": 1}, "no file"]
    await page.send({"type": "upload_register", "uploads": files})
    answer = await page.wait_for(type="upload_registered")
    told = [(one["type"], one.get("code")) for one in answer["uploads"]]
    assert told == [
        ("upload_registered", None),
        ("upload_progress", "unknown_slot"),
        ("upload_progress", "invalid_message"),
    ]
    assert [one["ref"] for one in answer["uploads"][:2]] == [files[0]["ref"], files[1]["ref"]]


async def test_a_list_that_is_too_long_is_refused_once(page):
    await page.send({"type": "upload_register", "uploads": [{}] * (MAX_FILES + 1)})
    await page.event("ping")
    assert str(page.messages).count("invalid_message") == 1


async def test_small_files_need_not_wait_for_the_answer(page):
    contents = [f"file {number}".encode() for number in range(3)]
    files = [described(f"{number}.txt", data) for number, data in enumerate(contents)]
    await page.send({"type": "upload_register", "uploads": files})
    for file, data in zip(files, contents, strict=True):
        await page.send_frame(FrameType.CHUNK, file["ref"], 0, data)
        await page.send_frame(FrameType.COMPLETE, file["ref"])
    for file in files:
        await page.ended(file["ref"])
    # Reports on several files come together, too.
    reports = [message for message in page.messages if message["type"] == "upload_progress"]
    assert all("uploads" in one for one in reports if one.get("status") != "uploading")


async def test_what_was_sent_of_a_refused_file_is_dropped(page):
    refused = described("a.bin", b"a", "nothing")
    await page.send({"type": "upload_register", "uploads": [refused]})
    await page.send_frame(FrameType.CHUNK, refused["ref"], 0, b"a")
    await page.send_frame(FrameType.COMPLETE, refused["ref"])
    await page.event("ping")
    errors = str(page.messages).count("unknown_slot")
    assert errors == 1, "the refusal is told once"


async def test_the_slots_say_how_much_may_come_before_the_answer(page):
    [mounted] = [message for message in page.messages if message["type"] == "mount"]
    assert {slot["early_limit"] for slot in mounted["upload_configs"].values()} == {EARLY_LIMIT}


async def test_a_client_whose_user_paused_is_not_given_up(page):
    ref = await page.register("default", "data.bin", len(DATA))
    await page.send({"type": "upload_keep", "refs": [ref, "unknown", 7]})
    await page.send({"type": "upload_keep", "refs": "no list"})
    await page.send_chunks(ref, DATA)
    await page.complete(ref)


class Owner:
    def __init__(self, **settings):
        self.__dict__.update(settings)

    async def call(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("receive", "send", "size"),
    [
        (Owner(config=Owner(ws_max_size=123)).call, None, 123),
        (None, Owner(config=Owner(websocket_max_message_size=456)).call, 456),
        (None, Owner(config=Owner()).call, MIB),
        (lambda: None, lambda: None, MIB),
    ],
)
def test_the_hosts_limit_is_read_where_the_server_has_it(receive, send, size):
    assert max_message_size(receive, send) == size
