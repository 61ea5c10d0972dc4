"""Who resumes an upload has it; who had it before can do no harm, and is told."""

from __future__ import annotations

import asyncio
import os

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.link import Link
from tests.support.resuming import (
    MIB,
    TEMPORARY,
    all_handled,
    arrived,
    new_session,
    pages_of_one,
    resume_site,
    sha256,
)

SLOT = TEMPORARY.slot()
DATA = os.urandom(8 * MIB + 3)
HALF = 4 * MIB + 1


@pytest.fixture(scope="module")
def processes(tmp_path_factory, caches):
    """Two, of one site."""
    directory = tmp_path_factory.mktemp("takeover")
    cache = next(iter(caches.values()))
    with resume_site(directory, cache) as one, resume_site(directory, cache) as two:
        yield one, two


@pytest.fixture(params=["the same process", "another process"])
def sites(request, processes):
    """Where the first page is connected, and where the second."""
    one, two = processes
    return (one, one) if request.param == "the same process" else (one, two)


@pytest.fixture
async def pages(sites):
    async with pages_of_one(*(site.ws("/ws/") for site in sites)) as pages:
        yield pages


async def begin(page):
    """Half of ``DATA``, on the server and acknowledged as far as it will be."""
    ref = await page.register(SLOT, "data.bin", len(DATA), resumable=True)
    await page.send_chunks(ref, DATA, until=HALF)
    await all_handled(page)
    return ref


async def send_rest(page, ref):
    await page.send_chunks(ref, DATA)
    return await page.complete(ref)


async def go_on(page, ref):
    """The rest of it, and what arrived."""
    await send_rest(page, ref)
    assert await arrived(page, SLOT) == {ref: sha256(DATA)}


async def fails_locked(page, ref):
    """The page goes on with what is not its own any more, is told so, and does no harm."""
    with pytest.raises(UploadFailed, match="locked: This upload goes on in another window"):
        await send_rest(page, ref)


async def test_a_socket_that_is_half_open(sites):
    """Nobody told the server that the page is gone, and its last frames are still on their way."""
    first, second = sites
    async with (
        Link([first.port]) as link,
        pages_of_one(link.ws("/ws/"), second.ws("/ws/")) as (before, after),
    ):
        ref = await begin(before)
        link.stall()
        late = asyncio.create_task(fails_locked(before, ref))
        async with asyncio.timeout(5):
            assert (await after.resume(ref))["status"] == "resumed"
        await after.send_chunks(ref, DATA, until=HALF + MIB)
        link.flow()
        await late
        await go_on(after, ref)
        assert len(before.endings(ref)) == 1


async def test_two_tabs_with_one_ref(pages):
    """The last one wins."""
    first, second = pages
    ref = await begin(first)
    assert (await second.resume(ref))["status"] == "resumed"
    await fails_locked(first, ref)
    await first.hostile.go_on_after_the_end(ref)
    await all_handled(first)
    assert len(first.endings(ref)) == 1
    await go_on(second, ref)


async def test_two_tabs_that_send_at_the_same_time(pages):
    first, second = pages
    ref = await begin(first)
    assert (await second.resume(ref))["status"] == "resumed"
    await asyncio.gather(fails_locked(first, ref), go_on(second, ref))


async def test_the_upload_goes_back_and_forth(pages):
    ref = await begin(pages[0])
    for n in range(1, 5):
        mine, theirs = pages[n % 2], pages[(n + 1) % 2]
        assert (await mine.resume(ref))["status"] == "resumed"
        await fails_locked(theirs, ref)
        await mine.send_chunks(ref, DATA, until=HALF + n * 100_000)
    await go_on(mine, ref)


@pytest.mark.parametrize("time", range(3))
async def test_two_that_resume_in_the_same_moment(sites, time):
    """One completes it. The other is told at once that it is locked, or was a moment earlier, and
    is told when it goes on."""
    first, second = sites
    async with pages_of_one(first.ws("/ws/"), first.ws("/ws/"), second.ws("/ws/")) as pages:
        ref = await begin(pages[0])
        await pages[0].drop()
        told = await asyncio.gather(*(status_after(page.resume(ref)) for page in pages[1:]))
        left = [page for page, status in zip(pages[1:], told, strict=True) if status == "resumed"]
        assert set(told) <= {"resumed", "locked"} and left
        ends = await asyncio.gather(*(status_after(send_rest(page, ref)) for page in left))
        assert sorted(ends) == ["complete", "locked"][: len(left)]
        assert await arrived(left[ends.index("complete")], SLOT) == {ref: sha256(DATA)}


async def status_after(call):
    try:
        return (await call)["status"]
    except UploadFailed as failed:
        return failed.code


async def test_a_page_that_has_the_upload_already(pages):
    ref = await begin(pages[0])
    assert (await pages[0].resume(ref))["status"] == "locked"
    await go_on(pages[0], ref)


# Owners


async def test_another_visitors_upload_is_not_found(sites):
    """Nor does anything happen to it."""
    mine, theirs = (site.ws("/ws/") for site in sites)
    async with (
        UploadClient(mine, cookies=new_session()) as page,
        UploadClient(theirs, cookies=new_session()) as other,
        UploadClient(theirs) as nobody,
    ):
        ref = await begin(page)
        for stranger in (other, nobody):
            answer = await stranger.resume(ref, upload_name=SLOT, name="data.bin", size=len(DATA))
            assert answer["status"] == "not_found"
            await stranger.hostile.use_foreign_ref(ref)
            with pytest.raises(UploadFailed, match="unknown_upload"):
                await stranger.ended(ref)
        await go_on(page, ref)
        assert len(page.endings(ref)) == 1


async def test_the_ref_of_another_visitor_is_a_new_upload(sites):
    mine, theirs = (site.ws("/ws/") for site in sites)
    async with (
        UploadClient(mine, cookies=new_session()) as page,
        UploadClient(theirs, cookies=new_session()) as other,
    ):
        ref = await begin(page)
        await other.register(SLOT, "other.bin", 7, ref=ref, resumable=True)
        await other.send_chunks(ref, b"content")
        await other.complete(ref)
        assert await arrived(other, SLOT) == {ref: sha256(b"content")}
        await go_on(page, ref)


async def test_without_an_owner_nothing_is_resumable(processes):
    async with UploadClient(processes[0].ws("/ws/")) as page:
        ref = await page.register(SLOT, "data.bin", len(DATA), resumable=True)
        assert (await page.wait_for(type="upload_registered", ref=ref))["resumable"] is False
        await page.send_chunks(ref, DATA, until=HALF)
        await page.reconnect()
        assert (await page.resume(ref))["status"] == "not_found"


async def test_what_the_client_did_not_ask_to_resume_ends_with_its_connection(processes):
    async with UploadClient(processes[0].ws("/ws/"), cookies=new_session()) as page:
        ref = await page.register(SLOT, "data.bin", len(DATA))
        assert (await page.wait_for(type="upload_registered", ref=ref))["resumable"] is False
        await page.send_chunks(ref, DATA, until=HALF)
        await page.reconnect()
        assert (await page.resume(ref))["status"] == "not_found"
