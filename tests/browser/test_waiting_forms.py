"""Forms that wait for their files, and what users and pages do meanwhile."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from tests.browser.chromium import until
from tests.support.servers import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("forms") / "uploads"
    with serve("tests.sites.forms:application", uploads) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def held(browser, server):
    """A page of a form whose files arrive when the test says so, by ``arrive(page)``. The form is
    not sent; ``submits`` has the number of its files for each time that it would have been."""
    context = await browser.new_context()
    page = await context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.waiting = []

    async def hold(route):
        arrives = asyncio.Event()
        page.waiting.append(arrives)
        await arrives.wait()
        await route.continue_()

    await page.route(
        "**/uploads/**",
        lambda route: hold(route) if route.request.method == "PATCH" else route.continue_(),
    )
    await page.goto(server.http("/photos/"))
    await page.evaluate(
        """() => {
          window.submits = [];
          addEventListener("submit", (event) => {
            event.preventDefault();
            const values = new FormData(event.target).getAll("photos");
            submits.push(values.filter((value) => typeof value === "string").length);
          });
        }"""
    )
    await page.fill("[name=title]", "a")
    yield page
    for arrives in page.waiting:
        arrives.set()
    await context.close()
    assert complaints == []


async def choose(page, path):
    """Choose a file, and wait until it is on its way."""
    count = len(page.waiting)
    await page.set_input_files("[name=photos]", path)
    await until(lambda: len(page.waiting) > count)


async def arrive(page, count=1):
    """Let the files that are on their way arrive, so that so many are there."""
    while page.waiting:
        page.waiting.pop().set()
    await page.wait_for_selector(f":nth-match([data-state=done], {count})")


async def press(page):
    await page.click("button:text-is('Save')")


async def test_a_second_press_while_the_form_waits_is_no_second_submit(held, files):
    await choose(held, files / "photo0.png")
    await press(held)
    await press(held)
    await arrive(held)
    await held.wait_for_selector("form:not([aria-busy])")
    assert await held.evaluate("submits") == [1]


async def test_a_file_that_is_added_while_the_form_waits_goes_with_it(held, files):
    await choose(held, files / "photo0.png")
    await press(held)
    first = held.waiting.pop()
    await choose(held, files / "photo1.png")
    first.set()
    await held.wait_for_selector("[data-state=done]")
    assert await held.evaluate("submits") == []
    await arrive(held, 2)
    await held.wait_for_function("submits.length")
    assert await held.evaluate("submits") == [2]


async def test_a_form_that_became_invalid_waits_for_the_next_file_too(held, files):
    await choose(held, files / "photo0.png")
    await press(held)
    await held.fill("[name=title]", "")
    await arrive(held)
    await held.wait_for_selector("form:not([aria-busy])")
    await held.fill("[name=title]", "a")
    await choose(held, files / "photo1.png")
    await press(held)
    assert await held.evaluate("submits") == []
    await arrive(held, 2)
    await held.wait_for_function("submits.length")
    assert await held.evaluate("submits") == [2]


async def test_a_button_that_goes_while_the_form_waits(held, files):
    await choose(held, files / "photo0.png")
    await press(held)
    await held.eval_on_selector("button:text-is('Save')", "button => button.remove()")
    await arrive(held)
    await held.wait_for_function("submits.length")


async def test_a_field_that_was_taken_out_and_put_back_is_the_same_one(held, files):
    created = []
    held.on("request", lambda r: created.append(r.url) if r.method == "POST" else None)
    await choose(held, files / "photo0.png")
    await arrive(held)
    await held.evaluate(
        """async () => {
          const field = document.querySelector("[data-upload-field]");
          const before = field.previousSibling;
          field.remove();
          await new Promise((resolve) => setTimeout(resolve));
          before.after(field);
        }"""
    )
    await choose(held, files / "photo1.png")
    await arrive(held, 2)
    names = await held.locator(".djust-form-upload-name").all_inner_texts()
    assert names == ["photo0.png", "photo1.png"]
    assert len(created) == 2


async def test_a_name_with_signs_of_patterns(held, tmp_path):
    path = tmp_path / "a$&b$'.txt"
    path.write_text("Dear reader")
    await held.set_input_files("[name=photos]", path)
    label = await held.get_attribute("[data-state] button", "aria-label")
    assert label == "Remove a$&b$'.txt"


async def test_a_file_that_is_deleted_before_it_is_sent_fails_at_once(held, tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(4)]
    for path in paths:
        path.write_text("Dear reader")
    # Three are sent at the same time.
    await held.set_input_files("[name=photos]", paths)
    await until(lambda: len(held.waiting) == 3)
    paths[3].unlink()
    await arrive(held, 3)
    await held.wait_for_selector("[data-state=failed]", timeout=5000)
    note = await held.inner_text("[data-state=failed] [role=alert]")
    assert note == "The file can't be read any more. Please choose it again."
