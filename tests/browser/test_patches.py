"""What a page keeps when its host patches it: the focus, the cards, and what our script has set."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run
from tests.browser.states import PROGRESS, show

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("patch", ["replaceWith(container.cloneNode(false))", "replaceChildren()"])
@pytest.mark.parametrize("name", ["Pause film.mp4", "Cancel all"])
async def test_the_focus_survives_a_patch_of_the_container(page, name, patch):
    await show(page, "uploading", PROGRESS)
    await page.get_by_role("button", name=name, exact=True).focus()
    await page.evaluate(
        f"""() => {{
          const container = document.querySelector("[dj-upload-progress]");
          container.{patch};
        }}"""
    )
    await run(page, "await drawn(); await drawn();")
    focused = page.get_by_role("button", name=name, exact=True)
    assert await focused.evaluate("button => button === document.activeElement")


async def test_a_place_for_previews_that_comes_later_takes_the_cards_over(page):
    await show(page, "uploading", PROGRESS)
    await page.focus("[aria-label='Pause film.mp4']")
    told = await run(
        page,
        """
        const place = document.createElement("div");
        place.setAttribute("dj-upload-preview", "files");
        document.querySelector("form").prepend(place);
        for (let frame = 0; frame < 3; frame += 1) await drawn();
        const count = (selector) => document.querySelectorAll(selector).length;
        return [count(".upload-card"), count("[dj-upload-preview] .upload-card")];
        """,
    )
    assert told == [4, 4]
    assert await page.evaluate("document.activeElement.ariaLabel") == "Pause film.mp4"


async def test_a_patch_that_changes_attributes_only(page):
    await show(page, "empty", PROGRESS)
    told = await run(
        page,
        """
        const {SLOT} = await import("/fake_server.js");
        const slot = (name) => ({...SLOT, name, accept: `.${name}`});
        page.connect({}, {files: slot("files"), letters: slot("letters")});
        await drawn();
        const input = document.querySelector("input");
        const say = async () => {
          await drawn();
          await drawn();
          const hint = document.getElementById(input.getAttribute("aria-describedby"));
          return [input.accept, input.multiple, hint.textContent.split(",")[0]];
        };
        for (const name of ["accept", "multiple", "aria-describedby"]) input.removeAttribute(name);
        const taken = await say();
        const progress = document.querySelector("[dj-upload-progress]");
        input.setAttribute("dj-upload", "letters");
        progress.setAttribute("dj-upload-progress", "letters");
        return [taken, await say(), document.querySelectorAll(".upload-hint").length];
        """,
    )
    assert told == [[".files", True, "FILES"], [".letters", True, "LETTERS"], 1]
