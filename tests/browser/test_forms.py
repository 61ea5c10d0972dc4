"""What a page says of a slot before files are chosen, when its form is submitted, and after."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.browser import fake_server
from tests.browser.fake_server import run
from tests.browser.states import PROGRESS, show

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser):
    async with fake_server.new_context(browser) as context:
        page = await context.new_page()
        await page.add_init_script(
            """
            window.submits = 0;
            addEventListener("submit", (event) => {
              event.preventDefault();
              submits += 1;
            });
            """
        )
        yield page


async def note(page):
    return await page.inner_text(".upload-note")


HINTS = {
    "Up to 10 files, 2 GB each": {},
    "JPEG or PNG, up to 5 files, 10 MB each": {
        "accept": ".jpg,.JPEG,.png",
        "max_entries": 5,
        "max_file_size": 10_000_000,
    },
    "Pictures, up to 5 MB": {"accept": "image/*", "max_entries": 1, "max_file_size": 5_000_000},
    "PDF, 2 to 4 files, 1 MB each, 3 MB in all": {
        "accept": "application/pdf",
        "max_entries": 4,
        "min_entries": 2,
        "max_file_size": 1_000_000,
        "max_total_size": 3_000_000,
    },
    "Word (DOCX) or ZIP, exactly 2 files, 1.5 MB each": {
        "accept": ".docx, .zip",
        "max_entries": 2,
        "min_entries": 2,
        "max_file_size": 1_500_000,
    },
}


async def test_what_a_slot_takes_is_said_before_choosing(page):
    await show(page, "empty", PROGRESS)
    for hint, slot in HINTS.items():
        await run(page, "page.connect({max_file_size: 2e9, ...argument}); await drawn();", slot)
        assert await page.inner_text(".upload-hint") == hint
    described = await page.eval_on_selector(
        "input[dj-upload]",
        "input => document.getElementById(input.getAttribute('aria-describedby')).textContent",
    )
    assert described == hint


async def test_a_description_of_the_pages_own_stays(page):
    await show(page, "empty", PROGRESS.replace('id="files"', 'id="files" aria-describedby="own"'))
    ids = await page.get_attribute("input[dj-upload]", "aria-describedby")
    assert ids.split()[0] == "own"
    assert len(ids.split()) == 2


async def test_a_submit_says_what_it_waits_for_and_that_it_was_saved(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.uploads.add("files", [textFile(20, "a.txt"), textFile(20, "b.txt")]);
        document.querySelector("form").requestSubmit();
        await drawn();
        """,
    )
    assert await note(page) == "Saves when 2 files are there."
    assert await page.get_attribute("form", "aria-busy") == "true"
    assert await page.inner_text("[role=status]") == "Saves when 2 files are there."
    await run(page, "page.progress(page.all[0], 'complete', 100); await drawn();")
    assert await note(page) == "Saves when 1 file is there."
    assert await page.evaluate("submits") == 0
    await run(page, "page.progress(page.all[1], 'complete', 100); await drawn(); await drawn();")
    assert await page.evaluate("submits") == 1
    assert await page.get_attribute("form", "aria-busy") is None
    assert await note(page) == ""
    await run(
        page,
        """
        const refs = page.all.map(({ref}) => ref);
        socket.hear({type: "upload_consumed", upload_name: "files", refs});
        await drawn();
        """,
    )
    assert await note(page) == "Saved 2 files."
    await page.wait_for_selector("[role=status]:text('Saved 2 files.')", state="attached")
    # With the next choice it goes.
    await run(page, "page.uploads.add('files', [textFile()]); await drawn(); await drawn();")
    assert await note(page) == ""


async def test_what_failed_before_goes_when_the_form_was_saved(page):
    await show(page, "failed", PROGRESS)
    await run(
        page,
        """
        const refs = [page.all[0].ref];
        socket.hear({type: "upload_consumed", upload_name: "files", refs});
        await drawn(); await drawn();
        """,
    )
    assert await page.locator(".upload-card").count() == 0
    assert await note(page) == "Saved."


async def test_a_submit_whose_file_fails_says_so(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        const [upload] = page.uploads.add("files", [textFile(20)]);
        document.querySelector("form").requestSubmit();
        page.fail(upload, "storage_full", "There is no space left.");
        await drawn(); await drawn();
        """,
    )
    assert (await note(page)).startswith("Not saved, because 1 file failed.")
    assert await page.evaluate("submits") == 0


async def test_a_press_with_nothing_to_save_says_so(page):
    await show(page, "empty", PROGRESS)
    assert await page.get_attribute("form", "data-upload-state") == "empty"
    await page.click("text=Save")
    await run(page, "await drawn();")
    assert await note(page) == "There is nothing to save yet. Choose a file first."
    assert await page.evaluate("submits") == 1, "the page decides what it means"
    await run(page, "page.uploads.add('files', [textFile()]); await drawn(); await drawn();")
    assert await note(page) == ""
    assert await page.get_attribute("form", "data-upload-state") is None


async def test_a_form_with_other_fields_has_something_to_save(page):
    await show(page, "nothing", PROGRESS.replace("<button", '<input name="title"><button'))
    assert await page.get_attribute("form", "data-upload-state") is None
    assert await note(page) == ""
    assert await page.evaluate("submits") == 1


async def test_a_slot_with_min_entries_keeps_the_form(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.connect({min_entries: 3});
        const [upload] = page.uploads.add("files", [textFile(10)]);
        page.progress(upload, "complete", 100);
        document.querySelector("form").requestSubmit();
        await drawn();
        """,
    )
    assert await note(page) == "Add 2 more files."
    assert await page.inner_text("[role=alert]") == "Add 2 more files."
    assert await page.evaluate("submits") == 0


async def test_who_takes_a_needed_file_away_while_the_form_waits_is_told(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.connect({min_entries: 2});
        const one = await page.begin(textFile(100, "a.txt"));
        const two = await page.begin(textFile(100, "b.txt"));
        document.querySelector("form").requestSubmit();
        await drawn();
        page.uploads.cancel(two.ref);
        page.progress(one, "complete", 100);
        await drawn(); await drawn();
        """,
    )
    assert await page.evaluate("submits") == 0
    assert await note(page) == "Add 1 more file."


@pytest.mark.parametrize(("handler", "submits"), [("save", 1), ("next_step", 0)])
async def test_a_form_that_a_patch_makes_anew_is_submitted(page, handler, submits):
    await show(page, "empty", PROGRESS.replace("<form", '<form dj-submit="save"'))
    await run(
        page,
        """
        const upload = await page.begin(textFile(100));
        const form = document.querySelector("form");
        form.requestSubmit();
        await drawn();
        const anew = form.cloneNode(true);
        anew.removeAttribute("aria-busy");
        anew.setAttribute("dj-submit", argument);
        form.replaceWith(anew);
        await drawn();
        page.progress(upload, "complete", 100);
        await drawn(); await drawn();
        """,
        handler,
    )
    assert await page.evaluate("submits") == submits, "another form is not the one that was pressed"


async def test_a_submit_lets_paused_files_go_on(page):
    await show(page, "paused", PROGRESS)
    await page.click("text=Save")
    await run(page, "await drawn();")
    assert await run(page, "return page.all.some(({paused}) => paused)") is False


async def test_the_total_size_of_a_slot(page):
    await show(page, "empty", PROGRESS)
    told = await run(
        page,
        """
        page.connect({max_total_size: 250});
        page.uploads.add("files", [100, 200, 90].map((size) => textFile(size, `${size}.txt`)));
        page.uploads.add("files", [textFile(80, "80.txt")]);
        return page.all.map(({name, code, error}) => [name, code, error]);
        """,
    )
    message = "There is no room for this file: all files together may have 250 bytes."
    assert told == [
        ["100.txt", None, None],
        ["90.txt", None, None],
        ["80.txt", "total_too_large", message],
    ]


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_submit_is_not_forgotten_when_the_connection_is_lost(page, resumable):
    await show(page, "empty", PROGRESS)
    statuses = await run(
        page,
        """
        const slot = {auto_upload: false, resumable: argument};
        const before = page.connect(slot);
        page.uploads.add("files", ["a", "b", "c", "d"].map((name) => textFile(20, name)));
        document.querySelector("form").requestSubmit();
        await before.wait("upload_register", 3);
        before.lose();
        const after = page.connect(slot);
        // The server has nothing of those that it knew.
        for (const upload of page.all) page.resumed(upload, "not_found");
        await after.wait("upload_register", 3);
        return page.all.map(({status}) => status);
        """,
        resumable,
    )
    assert sorted(statuses) == ["queued", "uploading", "uploading", "uploading"]
