"""SIGTERM: what a server has received is kept, and its clients are told to come back."""

from __future__ import annotations

import asyncio
import os

from djust_uploads.testing import UploadClient
from tests.support.resuming import (
    KIB,
    MIB,
    TEMPORARY,
    all_handled,
    arrived,
    new_session,
    resume_site,
    sha256,
)
from tests.support.servers import wait_until

DATA = os.urandom(16 * MIB + 3)
SENT = 12 * MIB + 5


def durable(destination):
    """What can be kept of ``SENT`` bytes: whole parts, whole granules, or all."""
    unit = {"default": 1, "s3": 5 * MIB, "gcs": 256 * KIB}[destination.alias]
    return SENT // unit * unit


async def test_uvicorn_keeps_all_that_can_be(tmp_path, cache, destination):
    slot = destination.slot()
    with resume_site(tmp_path, cache, destination) as site:
        async with UploadClient(site.ws("/ws/"), cookies=new_session()) as page:
            complete = await page.upload(slot, "complete.bin", b"content", resumable=True)
            ref = await page.register(slot, "data.bin", len(DATA), resumable=True)
            await page.send_chunks(ref, DATA, until=SENT)
            await all_handled(page)
            assert await asyncio.to_thread(site.terminate), "it did not end within its grace"
            # https://www.iana.org/assignments/websocket: "Service Restart", come back.
            assert await page.closed() == 1012
            await asyncio.to_thread(site.start)
            await page.reconnect()
            answer = await page.resume(ref)
            assert answer["offset"] == answer["bytes_received"] == durable(destination)
            await page.send_chunks(ref, DATA)
            await page.complete(ref)
            await page.resume(complete)
            await page.ended(complete)
            assert await arrived(page, slot) == {ref: sha256(DATA), complete: sha256(b"content")}
    assert site.temporary_files() == []


async def test_daphne_keeps_what_it_acknowledged(tmp_path, cache):
    slot = TEMPORARY.slot()
    with resume_site(tmp_path, cache, server="daphne") as site:
        async with UploadClient(site.ws("/ws/"), cookies=new_session()) as page:
            ref = await page.register(slot, "data.bin", len(DATA), resumable=True)
            await page.send_chunks(ref, DATA, until=SENT)
            assert await wait_until(lambda: page.acknowledged(ref), 10)
            assert await asyncio.to_thread(site.terminate), "it did not end within its grace"
            await asyncio.to_thread(site.start)
            await page.reconnect()
            # Not below what was acknowledged, which the client asserts.
            assert (await page.resume(ref))["status"] == "resumed"
            await page.send_chunks(ref, DATA)
            await page.complete(ref)
            assert await arrived(page, slot) == {ref: sha256(DATA)}
