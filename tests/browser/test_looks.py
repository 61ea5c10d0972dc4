"""The page beside other styles, and in a language that is written from right to left."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.browser import fake_server
from tests.browser.fake_server import run
from tests.browser.states import FRAMEWORKS, PROGRESS, show, texts
from tests.browser.test_accessibility import findings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser):
    async with fake_server.new_context(browser, viewport={"width": 360, "height": 800}) as context:
        yield await context.new_page()


LOOKS = """
() => {
  const look = (selector) => {
    const node = document.querySelector(selector);
    const {width, height} = node.getBoundingClientRect();
    const {borderTopWidth, paddingLeft, display} = getComputedStyle(node);
    return [Math.round(width), Math.round(height), borderTopWidth, paddingLeft, display];
  };
  return [".upload-cancel", ".upload-thumbnail", ".upload-preview-image"].map(look);
}
"""


async def test_frameworks_do_not_spoil_it(page):
    looks = {}
    for name, head in {"none": str, **FRAMEWORKS}.items():
        await show(page, "complete", PROGRESS, head=head())
        await page.wait_for_selector(".upload-preview-image:not([hidden])")
        looks[name] = await page.evaluate(LOOKS)
        assert await findings(page) == []
    assert looks["bootstrap"] == looks["none"]
    assert looks["tailwind"] == looks["none"]
    assert looks["none"][0][:2] == [44, 44]
    assert looks["none"][2][:2] == [52, 52], "the picture fills its place"


async def test_a_property_changes_the_colour(page):
    head = "<style>:root { --upload-accent: rgb(1, 2, 3); }</style>"
    await show(page, "uploading", PROGRESS, head=head)
    colour = "bar => getComputedStyle(bar).backgroundColor"
    assert await page.eval_on_selector(".upload-progress-bar", colour) == "rgb(1, 2, 3)"


async def test_a_rule_of_the_page_wins_wherever_it_stands(page):
    await show(
        page, "failed", PROGRESS, head="<style>.upload-error { color: rgb(1, 2, 3); }</style>"
    )
    colour = "error => getComputedStyle(error).color"
    assert await page.eval_on_selector(".upload-error", colour) == "rgb(1, 2, 3)"


async def test_from_right_to_left(page):
    options = {"language": "fa", "direction": "rtl", "head": texts("fa")}
    await show(page, "uploading", PROGRESS, **options)
    assert await findings(page) == []
    total = await page.inner_text(".upload-total-text")
    assert total.startswith("۰ از ۴ · ۷٫۲ از ۶۱٫۱ مگابایت")
    assert await page.inner_text(".upload-progress-text") == "۴۳٪"
    assert await page.inner_text(".upload-hint") == "حداکثر ۱۰ فایل، هر کدام حداکثر ۲ گیگابایت"
    label = await page.get_attribute(".upload-cancel", "aria-label")
    assert label == "حذف a photo of the sea.png"
    # The picture is on the right, the buttons on the left, and the bar grows from the right.
    parts = ("card", "thumbnail", "progress-bar", "cancel")
    card, picture, bar, cancel = [
        await page.eval_on_selector(
            f".upload-{part}",
            "node => [node.getBoundingClientRect()].map(({left, right}) => [left, right])[0]",
        )
        for part in parts
    ]
    assert picture[0] > cancel[1]
    assert bar[1] == pytest.approx(card[1], abs=2)
    assert bar[0] > card[0] + 50
    registered = await run(page, "return socket.of('upload_register')[0]?.language")
    assert registered in (None, "fa")


async def test_german(page):
    await show(page, "complete", PROGRESS, language="de", head=texts("de"))
    assert (await page.inner_text(".upload-total-text")).startswith("3 Dateien · 27")
    assert await page.inner_text(".upload-done") == "Fertig"
    assert await page.inner_text("[role=status]") == "3 Dateien sind hochgeladen."
    sent = await run(page, "return page.socket.of('upload_register').map((sent) => sent.language)")
    assert sent == ["de"] * 3
