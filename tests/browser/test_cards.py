"""One card for each file, a line for all of them, and what is said of refusals."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run
from tests.browser.states import GUIDE, MARKUPS, PROGRESS, show

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def texts(page, selector):
    return await page.locator(selector).all_inner_texts()


@pytest.mark.parametrize("markup", MARKUPS)
async def test_a_card_has_all_of_a_file(page, markup):
    await show(page, "uploading", MARKUPS[markup])
    assert await page.locator(".upload-card").count() == 4, "each file is shown once"
    card = page.locator(".upload-card").nth(0)
    assert await card.get_attribute("data-status") == "uploading"
    assert await card.locator("img.upload-preview-image").count() == 1
    assert await card.locator(".upload-name").inner_text() == "a photo of the sea.png"
    assert await card.locator(".upload-preview-size").inner_text() == "9 MB"
    assert await card.locator(".upload-progress-text").inner_text() == "43%"
    labels = [await b.get_attribute("aria-label") for b in await card.locator("button").all()]
    assert labels == ["Pause a photo of the sea.png", "Remove a photo of the sea.png"]
    bars = page.locator("[dj-upload-progress] .upload-progress-bar[role=progressbar]")
    assert [await bar.get_attribute("aria-label") for bar in await bars.all()] == [
        "a photo of the sea.png",
        "film.mp4",
        "letter.pdf",
        "song.mp3",
    ]
    assert await bars.nth(0).get_attribute("aria-valuetext") == "43%"
    assert await bars.nth(3).get_attribute("aria-valuetext") == "Waiting"


async def test_where_the_cards_are(page):
    await show(page, "uploading", GUIDE)
    assert await page.locator("[dj-upload-preview] > .upload-preview-item").count() == 4
    assert await page.locator("[dj-upload-progress] .upload-card").count() == 0
    await show(page, "uploading", PROGRESS)
    assert await page.locator("[dj-upload-progress] > .upload-progress-item").count() == 4


async def test_a_bar_that_moves_is_drawn_ten_times_a_second(page):
    """And in the end it is where the upload is. What has another status is drawn at once."""
    await show(page, "uploading", PROGRESS)
    drawn = await run(
        page,
        """
        let changes = 0;
        const observer = new MutationObserver((records) => { changes += 1; });
        const bar = document.querySelector(".upload-progress-bar");
        observer.observe(bar, {attributes: true, attributeFilter: ["style"]});
        const started = performance.now();
        for (let progress = 44; progress < 94; progress += 1) {
          page.progress(page.all[0], "uploading", progress);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        await new Promise((resolve) => setTimeout(resolve, 200));
        const seconds = (performance.now() - started) / 1000;
        const width = bar.style.width;
        page.progress(page.all[0], "complete", 100);
        await drawn();
        return {changes, seconds, width, done: bar.style.width};
        """,
    )
    assert 1 < drawn["changes"] <= 2 + 10 * drawn["seconds"]
    assert [drawn["width"], drawn["done"]] == ["93%", "100%"]


async def test_what_may_be_done_with_a_file(page):
    await show(page, "uploading", PROGRESS)
    pause = page.locator("[aria-label='Pause film.mp4']")
    await pause.focus()
    await page.keyboard.press("Enter")
    paused = page.locator(".upload-card[data-status=paused]")
    assert await paused.locator(".upload-progress-text").inner_text() == "Paused"
    label = "document.activeElement.ariaLabel"
    assert await page.evaluate(label) == "Go on with film.mp4", "the button keeps the focus"
    # A place is free for the one that waited.
    assert await run(page, "return (await socket.wait('upload_register', 4)).length") == 4
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[aria-label='Pause film.mp4']")
    assert await page.locator("[data-status=paused]").count() == 0
    failed = "page.fail(page.all[1], 'storage_error', 'The file could not be stored.');"
    await run(page, f"{failed} await drawn();")
    assert await page.evaluate(label) == "Try film.mp4 again"
    await page.keyboard.press("Enter")
    again = await run(page, "await drawn(); return page.all.map(({status}) => status)")
    assert again[1] in ("queued", "uploading")
    assert (await texts(page, ".upload-error"))[1] == ""


async def test_paused_files_send_nothing(page):
    await show(page, "empty", PROGRESS)
    sent = await run(
        page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.uploads.pause(upload.ref);
        page.progress(upload, "uploading", 30, {limit: 1000});
        await drawn();
        const paused = socket.of("chunk").length;
        socket.lose();
        const second = page.connect();
        await drawn();
        const resumed = second.of("chunk").length;
        page.uploads.resume(upload.ref);
        await second.wait("upload_resume");
        page.resumed(upload, "resumed", {bytes_received: 30, progress: 30});
        await second.wait("complete");
        return [paused, resumed, second.of("chunk").map(({text}) => text).join("").length];
        """,
    )
    assert sent == [3, 0, 70]


async def test_the_total(page):
    await show(page, "uploading", PROGRESS)
    await page.clock.install()
    await show(page, "uploading", PROGRESS)
    assert await page.inner_text(".upload-total-text") == "0 of 4 · 7.2 of 61.1 MB"
    for progress in (48, 53):
        await page.clock.run_for(1000)
        await run(page, f"page.progress(page.all[0], 'uploading', {progress}); await drawn();")
    total = await page.inner_text(".upload-total-text")
    assert total.startswith("0 of 4 · 8.1 of 61.1 MB · ")
    assert total.endswith(" left")
    await page.click("text=Pause all")
    assert await run(page, "await drawn(); return page.all.map(({paused}) => paused)") == [True] * 4
    assert "left" not in await page.inner_text(".upload-total-text")
    await page.click("text=Go on with all")
    assert await run(page, "return page.all.some(({paused}) => paused)") is False
    await page.click("text=Cancel all")
    await page.wait_for_selector(".upload-card", state="detached")
    assert await page.is_hidden(".upload-total")
    assert await page.evaluate("document.activeElement.id") == "files", "the focus is not lost"


async def test_many_refusals_for_one_reason_are_one(page):
    await show(page, "refused", PROGRESS)
    assert await texts(page, ".upload-name") == [
        "photo.png",
        "big.png",
        "30 files not accepted: .bin",
    ]
    assert (await texts(page, ".upload-error"))[2] == (
        "Files of this type are not accepted here. Accepted: .png."
    )
    alert = await page.inner_text("[role=alert]")
    assert alert.startswith("31 files are not accepted.")
    await page.click("text=Which files?")
    assert (await texts(page, ".upload-names li"))[:2] == ["part0.bin", "part1.bin"]
    await page.click("[aria-label='Remove this message']")
    await page.wait_for_selector(".upload-group", state="detached")
    assert await page.locator(".upload-card").count() == 2


async def test_a_second_choice_that_is_refused_like_the_first_one_has_its_own_names(page):
    await show(page, "empty", PROGRESS)
    await run(page, "page.connect({accept: '.png'});")
    for name in ("first", "second"):
        await run(
            page,
            """
            const names = [0, 1, 2, 3].map((at) => `${argument}${at}.bin`);
            page.uploads.add("files", names.map((name) => textFile(10, name)));
            await drawn();
            """,
            name,
        )
        names = await page.locator(".upload-names li").all_text_contents()
        assert names == [f"{name}{at}.bin" for at in range(4)]


async def test_thousands_of_refusals(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.connect({accept: ".png"});
        page.uploads.add("files", Array.from({length: 20000}, (_, at) => textFile(1, `${at}.BIN`)));
        await drawn();
        """,
    )
    assert await texts(page, ".upload-name") == ["20,000 files not accepted: .bin"]
    assert len(await page.evaluate("recorded.errors")) == 100


async def test_a_second_failure_is_said_like_the_first_one(page):
    await show(page, "empty", PROGRESS)
    await run(page, "await page.begin(textFile(100));")
    for error in ("The storage does not answer.", "The storage is full."):
        await run(
            page,
            """
            const [upload] = page.all;
            page.uploads.retry(upload.ref);
            await drawn();
            page.fail(upload, "storage_unavailable", argument);
            """,
            error,
        )
        alert = f"[role=alert]:text('notes.txt: {error}')"
        await page.wait_for_selector(alert, state="attached", timeout=5000)


async def test_a_name_keeps_its_direction(page):
    await show(page, "complete", PROGRESS)
    assert await page.eval_on_selector_all(
        ".upload-name, .upload-preview-size", "nodes => nodes.every((n) => n.querySelector('bdi'))"
    )


async def test_without_a_place_for_progress_there_is_one_behind_the_row(page):
    """Bootstrap's ``.input-group``, and labels, which would make a button of it."""
    await show(
        page,
        "complete",
        '<div class="input-group" style="display: flex"><input type="file" dj-upload="files"></div>'
        '<label>Files <input type="file" dj-upload="files"></label>',
    )
    assert await page.locator("[dj-upload-progress]").count() == 1
    assert await page.locator(".input-group + [dj-upload-progress]").count() == 1
    await show(page, "complete", '<label>Files <input type="file" dj-upload="files"></label>')
    assert await page.locator("label + [dj-upload-progress]").count() == 1
