"""Thousands of files at once: the page goes on while the browser is asked for their sizes."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.browser import fake_server
from tests.browser.fake_server import run
from tests.browser.states import PROGRESS, show

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Files whose size takes as long as it does in Chromium, when another process has to be asked.
SLOW = """
class SlowFile extends File {
  get size() {
    const until = performance.now() + 1;
    while (performance.now() < until);
    return super.size;
  }
}
const files = (count, size) => Array.from(
  {length: count}, (_, at) => new SlowFile(["x".repeat(size)], `${at}-${size}.bin`),
);
const connect = (slot = {}) => page.connect({max_entries: 3000, resumable: false, ...slot});
const measured = () => page.all.every((upload) => upload.measured);
const settled = async () => { while (!measured()) await drawn(); await drawn(); };
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(browser):
    async with fake_server.new_context(browser) as context:
        yield await context.new_page()


async def with_slow_files(page, script):
    """What a script returns on an empty page; its connections take thousands of files."""
    await show(page, "empty", PROGRESS)
    return await run(page, SLOW + script)


async def test_the_page_answers_in_between_and_sends_the_first_files(page):
    told = await with_slow_files(
        page,
        """
        connect();
        page.uploads.add("files", files(300, 5));
        const before = page.all.filter((upload) => upload.measured).length;
        let answers = 0;
        let registered = 0;
        while (!measured()) {
          await new Promise((resolve) => setTimeout(resolve));
          if (!measured()) registered = page.socket.of("upload_register").length;
          answers += 1;
        }
        await drawn();
        const sizes = new Set(page.all.map(({size}) => size)).size;
        return {atOnce: before > 100, few: answers < 5, first: registered > 0, sizes,
                files: page.all.length};
        """,
    )
    assert told == {"atOnce": False, "few": False, "first": True, "files": 300, "sizes": 1}


async def test_what_is_too_large_is_refused_with_one_sentence(page):
    told = await with_slow_files(
        page,
        """
        connect({max_file_size: 9});
        const before = recorded.errors.length;
        page.uploads.add("files", [...files(150, 10), ...files(20, 9)]);
        await settled();
        while (page.all.length > 120 || !document.querySelector(".upload-group")) await drawn();
        const errors = recorded.errors.slice(before);
        return {errors: errors.length, codes: [...new Set(errors.map(({code}) => code))],
                waiting: page.all.filter((upload) => upload.live).length,
                text: document.querySelector(".upload-group .upload-name").textContent};
        """,
    )
    assert told == {
        "errors": 100,
        "codes": ["file_too_large"],
        "waiting": 20,
        "text": "150 files not accepted",
    }


async def test_what_has_no_room_beside_the_others_is_refused(page):
    told = await with_slow_files(
        page,
        """
        connect({max_total_size: 100});
        page.uploads.add("files", files(1, 40));
        page.uploads.add("files", files(60, 2));
        await settled();
        while (page.all.some(({status}) => status === "preparing")) await drawn();
        const taken = page.all.filter((upload) => upload.live);
        return [taken.length, taken.reduce((sum, {size}) => sum + size, 0),
                page.all.find((upload) => upload.error).code];
        """,
    )
    assert told == [31, 100, "total_too_large"]


async def test_what_is_cancelled_before_its_size_is_known_is_not_sent(page):
    told = await with_slow_files(
        page,
        """
        connect();
        const added = page.uploads.add("files", files(100, 5));
        for (const {ref} of added.slice(0, 50)) page.uploads.cancel(ref);
        await settled();
        const registered = page.socket.of("upload_register").map(({client_name}) => client_name);
        return {registered, live: page.all.filter((upload) => upload.live).length};
        """,
    )
    assert told == {"registered": ["50-5.bin", "51-5.bin", "52-5.bin"], "live": 50}


async def test_a_few_are_measured_at_once_and_so_is_what_is_refused(page):
    told = await with_slow_files(
        page,
        """
        connect({max_file_size: 9});
        page.uploads.add("files", [...files(1, 5), ...files(1, 10)]);
        await drawn();
        return page.all.map(({size, status}) => [size, status]);
        """,
    )
    assert told == [[5, "uploading"], [10, "error"]]
