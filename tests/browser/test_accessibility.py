"""What axe finds on pages in every state, and what it can't look for: the keyboard, sizes, colours.

https://github.com/dequelabs/axe-core/blob/develop/doc/API.md
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.browser import fake_server
from tests.browser.fake_server import run
from tests.browser.frameworks import AXE
from tests.browser.states import MARKUPS, PROGRESS, STATES, show

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: All of axe's rules for a page, best practices included.
FIND = """
async () => {
  const {violations} = await axe.run();
  return violations.flatMap(({id, nodes}) => nodes.map(({html, failureSummary}) => {
    return `${id}: ${html} ${failureSummary}`;
  }));
}
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["light", "dark"])
async def page(request, browser):
    async with fake_server.new_context(browser, color_scheme=request.param) as context:
        yield await context.new_page()


async def findings(page):
    # By the protocol, because a page's CSP may forbid inline scripts.
    await page.evaluate(AXE.read_text())
    return await page.evaluate(FIND)


async def overflows(page):
    return await page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("markup", MARKUPS)
@pytest.mark.parametrize("state", STATES)
async def test_axe_finds_nothing(page, state, markup):
    found = {}
    await show(page, state, MARKUPS[markup])
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 720})
        found[width] = await findings(page) if width == 1280 else await page.evaluate(FIND)
        assert not await overflows(page)
    assert found == {1280: [], 360: []}


async def test_axe_finds_what_is_wrong(page):
    await show(page, "empty", '<input type="file" dj-upload="files">')
    assert any(finding.startswith("label:") for finding in await findings(page))


async def test_targets_are_large_enough_for_a_finger(page):
    await page.set_viewport_size({"width": 360, "height": 720})
    for state in ("uploading", "failed", "refused"):
        await show(page, state, PROGRESS)
        sizes = await page.eval_on_selector_all(
            "[dj-upload-progress] :is(button, summary)",
            """nodes => nodes.filter((node) => node.checkVisibility())
              .map((node) => node.getBoundingClientRect())
              .map(({width, height}) => [Math.round(width), Math.round(height)])""",
        )
        assert sizes
        assert all(width >= 44 and height >= 44 for width, height in sizes), (state, sizes)


async def test_the_keyboard_alone_does_everything(page):
    await show(page, "uploading", PROGRESS)
    seen = []
    await page.focus("#files")
    for _ in range(10):
        await page.keyboard.press("Tab")
        seen.append(
            await page.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent"
            )
        )
    names = ["a photo of the sea.png", "film.mp4", "letter.pdf", "song.mp3"]
    each = [label for name in names for label in (f"Pause {name}", f"Remove {name}")]
    assert seen == ["Pause all", "Cancel all", *each]
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=song.mp3", state="detached")
    assert await page.evaluate("document.activeElement.ariaLabel") == "Remove letter.pdf"


async def test_forced_colours_show_the_bar(page):
    await page.emulate_media(forced_colors="active")
    await show(page, "uploading", PROGRESS)
    bar = page.locator(".upload-progress-bar").nth(0)
    colours = await bar.evaluate(
        """(bar) => [bar, bar.parentNode.parentNode].map((node) => {
          return getComputedStyle(node).backgroundColor;
        })"""
    )
    assert colours[0] != colours[1]
    assert (await bar.bounding_box())["height"] > 4
    await page.emulate_media(forced_colors="none")


async def test_reduced_motion_moves_nothing(page):
    await page.emulate_media(reduced_motion="reduce")
    await show(page, "saving", PROGRESS)
    await run(page, "await drawn();")
    moving = await page.evaluate(
        """[...document.querySelectorAll("*")].flatMap((node) => ["", "::after"].map((part) => {
          const {animationName, transitionDuration} = getComputedStyle(node, part || null);
          return animationName !== "none" || parseFloat(transitionDuration) > 0;
        })).some(Boolean)"""
    )
    assert not moving
    await page.emulate_media(reduced_motion="no-preference")
