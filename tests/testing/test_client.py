"""The shipped client: what it promises to the tests of others."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os

import pytest
from django.http import SimpleCookie
from websockets.asyncio.server import serve as serve_websocket

from djust_uploads import wire
from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.link import Link
from tests.support.servers import serve

CHUNK = 64 * 1024
DATA = os.urandom(5 * CHUNK + 3)


async def digests(page, slot="default"):
    """SHA-256 of the entries that ``slot`` has, which are consumed."""
    await page.event("report", slot=slot)
    return [m["payload"]["sha256"] for m in page.messages if m.get("event") == "consumed"]


SHA256 = hashlib.sha256(DATA).hexdigest()


# Partial sends


async def test_a_file_in_several_steps(page):
    ref = await page.register("default", "a.bin", len(DATA))
    assert page.chunk_size(ref) == CHUNK and page.limit(ref) >= CHUNK
    for until in (0, 10, 10, CHUNK + 1, 3 * CHUNK, len(DATA)):
        await page.send_chunks(ref, DATA, until=until)
        assert page.position(ref) == until
    assert page.next_index(ref) == 7
    await page.complete(ref)
    assert page.acknowledged(ref) == len(DATA)
    assert await digests(page) == [SHA256]


async def test_a_start_is_a_position_whose_index_is_counted_in_the_slots_chunks(page):
    ref = await page.register("default", "a.bin", len(DATA))
    await page.send_chunks(ref, DATA, until=2 * CHUNK)
    await page.send_chunks(ref, DATA, start=CHUNK, until=2 * CHUNK)
    with pytest.raises(UploadFailed, match="chunk_out_of_order"):
        await page.ended(ref)


async def test_sending_waits_for_the_limit(page):
    """The sink takes 0.5 s for a write; only as much is sent as the server allows."""
    ref = await page.register("slow", "a.bin", 100_000_000)
    limit = page.limit(ref)
    sending = asyncio.create_task(page.send_chunks(ref, bytes(100_000_000)))
    await page.wait_for(ref=ref, type="upload_progress")
    assert limit - CHUNK < page.position(ref) <= page.limit(ref)
    await page.cancel(ref)
    await sending
    assert [m["status"] for m in page.endings(ref)] == ["cancelled"]


async def test_what_was_sent_by_hand_does_not_count(page):
    ref = await page.register("default", "a.bin", len(DATA))
    await page.hostile.skip_chunk(ref)
    assert (page.position(ref), page.next_index(ref)) == (0, 0)
    with pytest.raises(UploadFailed, match="chunk_out_of_order"):
        await page.ended(ref)


# The connection


async def test_a_connection_that_ends_is_an_error_wherever_one_waits(page):
    ref = await page.register("slow", "a.bin", 100_000_000)
    waiting = [
        asyncio.create_task(wait)
        for wait in (
            page.send_chunks(ref, bytes(100_000_000)),
            page.ended(ref),
            page.wait_for(type="never"),
        )
    ]
    await page.wait_for(ref=ref, type="upload_progress")
    await page.drop()
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, ConnectionError)
    assert await page.closed() == 1006
    with pytest.raises(ConnectionError):
        await page.register("default", "a.bin", 1)


async def test_reconnecting_begins_a_new_connection(page):
    await page.upload("default", "a.bin", b"x")
    await page.reconnect()
    await page.mounted()
    assert not [m for m in page.messages if m["type"] == "upload_progress"]
    await page.upload("default", "a.bin", DATA)
    assert await digests(page) == [SHA256]


async def test_reconnecting_waits_for_the_server(plain_site):
    async with Link([plain_site.port]) as link, UploadClient(link.ws("/ws/")) as page:
        link.refuse()
        with pytest.raises(ConnectionError, match="can't be reached"):
            await page.reconnect(timeout=0.2)
        reconnecting = asyncio.create_task(page.reconnect())
        await asyncio.sleep(0)
        await link.accept()
        await reconnecting
        assert await page.mounted()


async def test_cookies_of_djangos_test_client():
    cookies = SimpleCookie()
    cookies["sessionid"] = "a b"
    assert UploadClient("ws://host/", cookies=cookies).headers["Cookie"] == 'sessionid="a b"'
    plain = UploadClient("ws://host/", cookies={"a": "1", "b": "2"}, headers={"X-Test": "yes"})
    assert plain.headers == {"Origin": "http://host", "X-Test": "yes", "Cookie": "a=1; b=2"}


# Going on


async def test_an_upload_that_was_not_resumable_ends_with_its_connection(plain_site):
    async with cut_after(1_000_000, plain_site) as (link, page):
        with pytest.raises(ConnectionError):
            await page.upload("default", "a.bin", bytes(3_000_000))
        assert link.connections == 1


async def test_an_upload_of_which_the_server_knows_nothing_begins_anew(plain_site):
    """The slot is not resumable, whatever the client says."""
    data = os.urandom(3_000_000)
    async with cut_after(1_000_000, plain_site) as (link, page):
        await page.upload("default", "a.bin", data, resumable=True)
        assert await digests(page) == [hashlib.sha256(data).hexdigest()]
        assert link.connections == 2


@contextlib.asynccontextmanager
async def cut_after(size, site):
    async with Link([site.port]) as link, UploadClient(link.ws("/ws/")) as page:
        link.reset_after(size)
        yield link, page


async def test_reconnects_are_bounded(plain_site):
    async with Link([plain_site.port]) as link, UploadClient(link.ws("/ws/")) as page:
        uploading = asyncio.create_task(
            page.upload("slow", "a.bin", bytes(100_000_000), resumable=True, reconnects=2)
        )
        for connection in range(1, 4):
            await until(lambda n=connection: link.connections == n and page.connected)
            await page.wait_for(type="upload_progress")
            await link.cut()
        with pytest.raises(ConnectionError):
            await uploading


async def test_leaving_ends_an_upload_that_would_reconnect(plain_site):
    async with UploadClient(plain_site.ws("/ws/")) as page:
        data = bytes(100_000_000)
        uploading = asyncio.create_task(page.upload("slow", "a.bin", data, resumable=True))
        await page.wait_for(type="upload_progress")
    with pytest.raises(ConnectionError, match="left"):
        await uploading


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


#: An answer: the connection ends.
CLOSE = "close"


@contextlib.asynccontextmanager
async def scripted(*answers):
    """A client, and a server that gives one answer after another; ``ref`` is the asker's."""
    remaining = list(answers)

    async def handle(socket):
        async for message in socket:
            is_frame = isinstance(message, bytes)
            ref = wire.parse(message).ref if is_frame else json.loads(message)["ref"]
            for answer in remaining.pop(0):
                if answer is CLOSE:
                    await socket.close()
                else:
                    await socket.send(json.dumps(answer(ref)))

    async with serve_websocket(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with UploadClient(f"ws://127.0.0.1:{port}/") as page:
            yield page
    assert remaining == []


def registered(ref):
    position = {"offset": 0, "limit": 500, "chunk_size": 100}
    return {"type": "upload_registered", "ref": ref, "upload_name": "files", **position}


def progress(offset, **keys):
    return lambda ref: {
        "type": "upload_progress",
        "ref": ref,
        "status": "uploading",
        "offset": offset,
        "limit": 900,
        **keys,
    }


def resumed(offset, status="resumed", received=0):
    return lambda ref: {
        "type": "upload_resumed",
        "ref": ref,
        "status": status,
        "offset": offset,
        "bytes_received": received or offset,
        "limit": 600,
        "chunk_size": 100,
    }


async def test_a_resumed_upload_goes_on_where_the_server_is():
    async with scripted([registered, progress(200)], [resumed(200, received=250)]) as page:
        ref = await page.register("files", "a.bin", 1000, resumable=True)
        await page.wait_for(offset=200)
        assert page.limit(ref) == 900
        answer = await page.resume(ref)
        assert answer["status"] == "resumed" and answer["bytes_received"] == 250
        assert page.limit(ref) == 600
        assert (page.position(ref), page.next_index(ref)) == (250, 2)


async def test_a_server_that_loses_what_it_acknowledged_is_wrong():
    async with scripted([registered, progress(200)], [resumed(199)]) as page:
        ref = await page.register("files", "a.bin", 1000, resumable=True)
        await page.wait_for(offset=200)
        with pytest.raises(AssertionError, match="200 bytes were acknowledged"):
            await page.resume(ref)


async def test_what_failed_while_nobody_was_connected():
    failed = progress(0, status="error", code="storage_full", error="no space")
    async with scripted([failed]) as page:
        with pytest.raises(UploadFailed, match="storage_full: no space"):
            await page.resume("5" * 32)


async def test_what_was_consumed_meanwhile():
    def consumed(ref):
        return {"type": "upload_consumed", "upload_name": "files", "refs": [ref]}

    async with scripted([consumed, resumed(0, "not_found")]) as page:
        assert (await page.resume("5" * 32))["status"] == "not_found"
        assert page.consumed("5" * 32)


async def test_the_answer_to_a_resume_is_the_one_that_comes_after_it():
    async with scripted([registered], [resumed(0, "locked")], [resumed(0, "not_found")]) as page:
        ref = await page.register("files", "a.bin", 1000, resumable=True)
        assert (await page.resume(ref))["status"] == "locked"
        assert (await page.resume(ref))["status"] == "not_found"


locked = progress(0, status="error", code="locked", error="This upload goes on in another window.")
complete = progress(10, status="complete")


async def test_a_resume_that_comes_late_is_not_another_window():
    """The second connection's resume was handled after the third's, which lost the upload by it."""
    async with scripted(
        [registered, CLOSE], [CLOSE], [resumed(10), locked], [], [resumed(10)], [complete]
    ) as page:
        await page.upload("files", "a.bin", bytes(10), resumable=True)


async def test_the_answer_that_it_is_locked_may_be_of_the_same_kind():
    async with scripted(
        [registered, CLOSE], [CLOSE], [resumed(0, "locked")], [resumed(10)], [complete]
    ) as page:
        await page.upload("files", "a.bin", bytes(10), resumable=True)


async def test_what_another_window_has_is_not_taken_back():
    async with scripted([registered, CLOSE], [resumed(10)], [locked]) as page:
        with pytest.raises(UploadFailed, match="locked"):
            await page.upload("files", "a.bin", bytes(10), resumable=True)


# Verbs


async def test_dribbling(page):
    ref = await page.register("default", "a.bin", 10)
    await page.hostile.dribble(ref, b"0123456789", seconds=0.01)
    assert page.next_index(ref) == 10
    await page.complete(ref)
    assert await digests(page) == [hashlib.sha256(b"0123456789").hexdigest()]


async def test_dribbling_ends_with_the_upload(page):
    ref = await page.register("default", "a.bin", 1000)
    dribbling = asyncio.create_task(page.hostile.dribble(ref, bytes(1000), seconds=0.01))
    await page.cancel(ref)
    await dribbling
    assert page.position(ref) < 1000


async def test_staying_silent(tmp_path):
    with serve("tests.sites.plain:application", tmp_path / "up", IDLE_TIMEOUT="0.5") as site:
        async with UploadClient(site.ws("/ws/")) as page:
            refs = await page.hostile.announce_and_stay_silent("default", 4)
            for ref in refs:
                with pytest.raises(UploadFailed):
                    await page.ended(ref)
            codes = [page.endings(ref)[0]["code"] for ref in refs]
            assert codes == ["expired", "expired", "expired", "too_many_files"]


async def test_repeating_a_chunk(page):
    ref = await page.register("default", "a.bin", len(DATA))
    await page.send_chunks(ref, DATA, until=CHUNK)
    await page.hostile.repeat_chunk(ref)
    with pytest.raises(UploadFailed, match="chunk_out_of_order"):
        await page.ended(ref)


async def test_overstepping_the_limit(page):
    """What a stock djust page does is slowed down, not refused."""
    data = os.urandom(10_000_000)
    ref = await page.register("default", "a.bin", len(data))
    await page.hostile.overstep(ref, data)
    await page.complete(ref)
    assert await digests(page) == [hashlib.sha256(data).hexdigest()]
