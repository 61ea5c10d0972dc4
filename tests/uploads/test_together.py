"""What the files of a slot must be together: not too few, and not too large."""

from __future__ import annotations

import sys

import pytest

from djust_uploads.exceptions import TooFewFiles
from tests.support.connection import Connection
from tests.support.servers import wait_until


def refusals(page):
    return [message for message in page.sent if message.get("code")]


async def test_what_has_no_room_beside_the_others_is_refused():
    async with Connection(max_total_size=1000) as page:
        first = await page.register(600)
        await page.upload(bytes(400))
        refused = await page.register(1)
        [message] = refusals(page)
        assert (message["ref"], message["code"]) == (refused, "total_too_large")
        assert message["error"] == (
            "There is no room for this file: all files together may have 1 kB."
        )
        # What is cancelled makes room at once, and what fails does, too.
        page.manager.cancel(first)
        assert (await page.upload(bytes(600)))["status"] == "complete"
        assert len(refusals(page)) == 1


async def test_a_size_of_as_many_digits_as_json_may_have_is_refused_as_any_other():
    async with Connection(max_total_size=1000) as page:
        await page.upload(bytes(600))
        await page.register(10 ** sys.get_int_max_str_digits() - 1)
        assert [message["code"] for message in refusals(page)] == ["total_too_large"]


async def test_the_largest_that_has_room_is_taken():
    async with Connection(max_total_size=1000) as page:
        assert (await page.upload(bytes(1000)))["status"] == "complete"
        # An empty file takes no room.
        assert (await page.upload(b""))["status"] == "complete"


async def test_too_few_complete_files_are_not_consumed():
    async with Connection(min_entries=2) as page:
        await page.upload(b"one")
        await page.register(100)
        with pytest.raises(TooFewFiles) as raised, page.manager.turn():
            list(page.manager.consume("files"))
        assert (raised.value.code, raised.value.retryable) == ("too_few_files", False)
        # They stay, and are consumed when there are enough of them.
        await page.upload(b"two")
        with page.manager.turn():
            assert [entry.data for entry in page.manager.consume("files")] == [b"one", b"two"]
        assert await wait_until(lambda: len(page.entries()) == 1)


async def test_a_slot_that_needs_files_says_so_to_the_page():
    async with Connection(min_entries=2, max_total_size=1000) as page:
        config = page.manager.client_configs()["files"]
        assert (config["min_entries"], config["max_total_size"]) == (2, 1000)
