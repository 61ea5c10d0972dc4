"""Consumption, through a real socket: what a handler got, what stays, and what is deleted when."""

from __future__ import annotations

import hashlib

import pytest

from djust_uploads.testing import UploadFailed


async def three(page, slot="default"):
    return [await page.upload(slot, f"{n}.bin", f"file {n}".encode()) for n in range(3)]


async def consumed_by(page, handler, slot="default", **params):
    """The entries that a handler got, in its order."""
    page.messages[:] = [m for m in page.messages if m.get("event") != "consumed"]
    await page.event(handler, slot=slot, **params)
    return [m["payload"] for m in page.messages if m.get("event") == "consumed"]


async def refs_of(page, handler, slot="default", **params):
    return [entry["ref"] for entry in await consumed_by(page, handler, slot, **params)]


async def waiting(page, slot="default"):
    """Status by ref of the slot's entries."""
    page.messages[:] = [m for m in page.messages if m.get("event") != "state"]
    await page.event("state", slot=slot)
    message = await page.wait_for(event="state")
    return {entry["ref"]: entry["status"] for entry in message["payload"]["entries"]}


async def told_consumed(page, refs):
    """Wait until the page was told that these, and no others, were consumed."""
    message = await page.wait_for(type="upload_consumed")
    assert message["refs"] == refs
    page.messages.remove(message)


@pytest.mark.parametrize("sink", ["default", "memory"])
@pytest.mark.parametrize("handler", ["report", "areport", "report_all"])
async def test_everything_in_the_order_of_selection(page, plain_site, handler, sink):
    refs = await three(page, sink)
    entries = await consumed_by(page, handler, sink)
    assert [entry["ref"] for entry in entries] == refs
    for n, entry in enumerate(entries):
        assert entry["sha256"] == hashlib.sha256(f"file {n}".encode()).hexdigest()
    await told_consumed(page, refs)
    assert await waiting(page, sink) == {}
    assert await refs_of(page, handler, sink) == []
    assert await plain_site.no_temporary_files()


async def test_order_is_that_of_selection_not_of_completion(page):
    refs = [await page.register("default", f"{n}.bin", 1) for n in range(3)]
    for ref in reversed(refs):
        await page.send_chunks(ref, b"x")
        await page.complete(ref)
    assert await refs_of(page, "report") == refs


@pytest.mark.parametrize("handler", ["report", "areport", "report_all"])
async def test_files_are_there_during_the_handler_and_gone_after_it(page, plain_site, handler):
    await three(page)
    assert len(plain_site.temporary_files()) == 3
    entries = await consumed_by(page, handler)
    assert [entry["exists"] for entry in entries] == [True] * 3
    assert await plain_site.no_temporary_files()


@pytest.mark.parametrize("handler", ["report_first", "areport_first", "report_next"])
async def test_entry_in_hand_at_the_end_is_consumed_and_later_ones_stay(page, plain_site, handler):
    refs = await three(page)
    assert await refs_of(page, handler) == refs[:1]
    await told_consumed(page, refs[:1])
    assert await waiting(page) == {refs[1]: "complete", refs[2]: "complete"}
    assert len(plain_site.temporary_files()) == 2
    assert await refs_of(page, handler) == refs[1:2]
    assert await refs_of(page, "report") == refs[2:]


async def test_next_on_an_empty_slot_is_the_handlers_error(page):
    assert (await page.event("report_next", slot="default"))["type"] == "error"


async def test_a_second_loop_gets_nothing_twice(page):
    refs = await three(page)
    assert await refs_of(page, "report_twice") == refs


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_entry_in_hand_when_the_handler_raises_stays(page, plain_site, after):
    refs = await three(page)
    assert await refs_of(page, "report_then_raise", after=after) == refs[: after + 1]
    if after:
        await told_consumed(page, refs[:after])
    assert list(await waiting(page)) == refs[after:]
    entries = await consumed_by(page, "report")
    assert [entry["ref"] for entry in entries] == refs[after:]
    assert all(entry["exists"] for entry in entries)
    assert await plain_site.no_temporary_files()


async def test_postponed_entry_stays(page, plain_site):
    refs = await three(page)
    assert await refs_of(page, "postpone_first") == refs[1:]
    await told_consumed(page, refs[1:])
    assert list(await waiting(page)) == refs[:1]
    assert await refs_of(page, "report") == refs[:1]
    assert await plain_site.no_temporary_files()


async def test_postponing_counts_for_one_handler_only(page):
    """The handler postponed the entry and then failed: the next one that takes it, consumes it."""
    refs = await three(page)
    await page.event("postpone_then_raise", slot="default")
    assert await refs_of(page, "report") == refs
    assert await waiting(page) == {}


async def test_entries_on_their_way_are_not_consumed(page):
    ref = await page.upload("default", "a.bin", b"a")
    running = await page.register("default", "b.bin", 10)
    assert await refs_of(page, "report") == [ref]
    assert await waiting(page) == {running: "uploading"}
    await page.send_chunks(running, b"0123456789")
    await page.complete(running)
    assert await refs_of(page, "report") == [running]


async def test_complete_entries_take_their_place_until_consumed(page):
    await page.upload("one", "a.bin", b"a")
    with pytest.raises(UploadFailed, match="too_many_files"):
        await page.register("one", "b.bin", 1)
    await page.event("report", slot="one")
    await page.upload("one", "c.bin", b"c")


@pytest.mark.parametrize("slot", ["small"])
async def test_failed_entry_frees_its_place_and_stays_visible(page, slot):
    ref = await page.register(slot, "a.bin", 10)
    await page.send_chunks(ref, b"x" * 9)
    with pytest.raises(UploadFailed, match="size_mismatch"):
        await page.complete(ref)
    assert await waiting(page, slot) == {ref: "error"}
    await page.upload(slot, "b.bin", b"b")


async def test_refused_file_is_visible(page):
    with pytest.raises(UploadFailed) as caught:
        await page.register("small", "a.bin", 1001)
    assert caught.value.message == "The file is too large: at most 1 kB are accepted."
    assert list((await waiting(page, "small")).values()) == ["error"]
    await page.upload("small", "b.bin", b"b")


async def test_cancel_of_a_complete_entry_deletes_its_file(page, plain_site):
    ref = await page.upload("one", "a.bin", b"a")
    assert len(plain_site.temporary_files()) == 1
    await page.event("drop", slot="one", ref=ref)
    await page.wait_for(ref=ref, status="cancelled")
    assert await plain_site.no_temporary_files()
    assert await waiting(page, "one") == {}
    await page.upload("one", "b.bin", b"b")


async def test_cancel_of_a_running_entry_frees_its_place(page, plain_site):
    ref = await page.register("one", "a.bin", 3_000_000)
    await page.send_chunks(ref, bytes(2_000_000))
    await page.event("drop", slot="one", ref=ref)
    await page.wait_for(ref=ref, status="cancelled")
    assert await plain_site.no_temporary_files()
    await page.upload("one", "b.bin", b"b")


async def test_cancel_needs_the_right_slot_and_ref(page):
    ref = await page.upload("one", "a.bin", b"a")
    await page.event("drop", slot="small", ref=ref)
    await page.event("drop", slot="one", ref="nonsense")
    assert await waiting(page, "one") == {ref: "complete"}


async def test_unknown_slot_has_no_entries(page):
    assert await refs_of(page, "report", "no such slot") == []
