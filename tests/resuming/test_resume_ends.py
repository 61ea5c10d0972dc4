"""The end of an upload, around which a process ends or changes."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.support.crashing import AFTER_FINISH, BEFORE_FINISH, die_at
from tests.support.resuming import (
    MIB,
    TEMPORARY,
    arrived,
    completions,
    pages_of_one,
    resume_site,
    sha256,
)

DATA = os.urandom(6 * MIB + 3)


@pytest.mark.parametrize("size", [0, 5, len(DATA)])
@pytest.mark.parametrize("point", [BEFORE_FINISH, AFTER_FINISH])
async def test_a_crash_around_finish(tmp_path, cache, destination, point, size):
    """One object and one completion, though the store was told and the page was not."""
    slot, data = destination.slot(), DATA[:size]
    with resume_site(tmp_path, cache, destination) as site:
        die_at(site.uploads, point)
        async with pages_of_one(site.ws("/ws/")) as (page,):
            ref = await page.register(slot, "data.bin", size, resumable=True)
            await page.send_chunks(ref, data)
            with pytest.raises(ConnectionError):
                await page.complete(ref)
            assert completions(site) == []
            await asyncio.to_thread(site.start)
            ref = await go_on(page, slot, ref, data)
            assert await arrived(page, slot) == {ref: sha256(data)}
        assert completions(site) == [ref]
        assert len(destination.keys()) == destination.keeps_files
    if size == len(DATA):
        assert site.temporary_files() == []


async def go_on(page, slot, ref, data):
    """As a page does: an upload of which nothing was acknowledged may have to begin anew."""
    acknowledged = page.acknowledged(ref)
    await page.reconnect()
    answer = await page.resume(ref)
    if answer["status"] == "not_found":
        assert acknowledged == 0
        return await page.upload(slot, "data.bin", data, resumable=True)
    await page.send_chunks(ref, data)
    await page.complete(ref)
    return ref


async def test_a_complete_upload_comes_back_on_another_process(tmp_path, cache, destination):
    """The page only asks: that it is complete follows by itself, once."""
    slot = destination.slot()
    with (
        resume_site(tmp_path, cache, destination) as one,
        resume_site(tmp_path, cache, destination) as two,
    ):
        async with pages_of_one(one.ws("/ws/"), two.ws("/ws/")) as (first, second):
            ref = await first.upload(slot, "data.bin", DATA, resumable=True)
            await first.drop()
            answer = await second.resume(ref)
            assert (answer["status"], answer["bytes_received"]) == ("resumed", len(DATA))
            await second.ended(ref)
            await second.complete(ref)
            assert await arrived(second, slot) == {ref: sha256(DATA)}
            assert len(second.endings(ref)) == 1
        assert len(destination.keys()) == destination.keeps_files
    assert one.temporary_files() == []


async def test_a_complete_upload_comes_back_after_a_crash(tmp_path, cache, destination):
    slot = destination.slot()
    with resume_site(tmp_path, cache, destination) as site:
        async with pages_of_one(site.ws("/ws/")) as (page,):
            ref = await page.upload(slot, "data.bin", DATA, resumable=True)
            await asyncio.to_thread(site.kill)
            await asyncio.to_thread(site.start)
            await page.reconnect()
            assert (await page.resume(ref))["status"] == "resumed"
            await page.ended(ref)
            assert await arrived(page, slot) == {ref: sha256(DATA)}
    assert len(destination.keys()) == destination.keeps_files


@pytest.mark.parametrize("same", [True, False], ids=["the same process", "another process"])
async def test_what_was_consumed_is_told_as_consumed(tmp_path, cache, same):
    slot = TEMPORARY.slot()
    with resume_site(tmp_path, cache) as one, resume_site(tmp_path, cache) as two:
        there = one if same else two
        async with pages_of_one(one.ws("/ws/"), there.ws("/ws/")) as (first, second):
            ref = await first.upload(slot, "data.bin", DATA, resumable=True)
            assert await arrived(first, slot) == {ref: sha256(DATA)}
            await first.wait_for(type="upload_consumed")
            await first.drop()
            assert (await second.resume(ref))["status"] == "not_found"
            assert second.consumed(ref)
            assert await arrived(second, slot) == {}


async def test_what_was_cancelled_is_gone(tmp_path, cache, destination):
    slot = destination.slot()
    with resume_site(tmp_path, cache, destination) as site:
        async with pages_of_one(site.ws("/ws/")) as (page,):
            ref = await page.register(slot, "data.bin", len(DATA), resumable=True)
            await page.send_chunks(ref, DATA, until=5 * MIB)
            complete = await page.upload(slot, "complete.bin", b"content", resumable=True)
            for cancelled in (ref, complete):
                await page.cancel(cancelled)
                await page.wait_for(ref=cancelled, status="cancelled")
            await page.reconnect()
            for cancelled in (ref, complete):
                assert (await page.resume(cancelled))["status"] == "not_found"
                assert not page.consumed(cancelled)
    assert destination.keys() == [] and site.temporary_files() == []
