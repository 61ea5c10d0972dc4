"""Forms in Chromium: with JavaScript the files go ahead of the POST, and without it they go with
it. The rows, the bytes and the errors are the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3

import pytest
import pytest_asyncio

from tests.browser.chromium import sha256, trace, until
from tests.browser.test_accessibility import findings
from tests.support.servers import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("forms") / "uploads"
    with serve("tests.sites.forms:application", uploads) as server:
        server.media = uploads.parent / "media"
        server.database = uploads.parent / "db.sqlite3"
        yield server


@pytest_asyncio.fixture(loop_scope="module", params=[True, False], ids=["script", "no script"])
async def context(browser, request):
    context = await browser.new_context(java_script_enabled=request.param)
    context.has_script = request.param
    await trace(context)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(context):
    page = await context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if is_complaint(m) else None)
    page.patches = []
    page.on("request", lambda r: page.patches.append(r.url) if r.method == "PATCH" else None)
    yield page
    assert complaints == []


def is_complaint(message):
    # Chromium reports each answer over 399, and the slot refuses some files.
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def stored(server, table, pk):
    with contextlib.closing(sqlite3.connect(server.database)) as db:
        return db.execute(f"select * from tests_{table} where id = ?", [pk]).fetchone()


async def save(page):
    async with page.expect_navigation():
        await page.click("button:text-is('Save')")


async def test_create_edit_clear(page, context, server, files):
    url = server.http("/documents/")
    await page.goto(url)
    await page.fill("[name=title]", "a")
    await page.set_input_files("[name=file]", files / "big.bin")
    if context.has_script:
        # The form waits for the file.
        assert await page.get_attribute("progress", "aria-label") == "big.bin: uploading"
    await page.fill("[name=title]", "a")
    await save(page)
    pk = int(re.search(r"/documents/(\d+)/", page.url)[1])
    assert bool(page.patches) == context.has_script
    name = stored(server, "document", pk)[1]
    assert sha256(server.media / name) == sha256(files / "big.bin")
    assert "Currently" in await page.inner_text("form")

    # Invalid, and back: the file is there and is not sent again.
    await page.set_input_files("[name=file]", files / "notes.txt")
    await page.fill("[name=title]", "   ")
    await save(page)
    assert "This field is required." in await page.inner_text("form")
    assert "notes.txt" in await page.inner_text(".djust-form-uploads")
    sent = len(page.patches)
    await page.fill("[name=title]", "b")
    await save(page)
    assert len(page.patches) == sent
    name = stored(server, "document", pk)[1]
    assert (server.media / name).read_text() == "only text"

    # Invalid, and removed.
    await page.set_input_files("[name=file]", files / "photo0.png")
    await page.fill("[name=title]", "   ")
    await save(page)
    if context.has_script:
        await page.click("[aria-label='Remove photo0.png']")
    else:
        await page.check("[name=file-remove]")
    await page.fill("[name=title]", "c")
    await save(page)
    assert stored(server, "document", pk)[1] == name

    await page.check("[name=file-clear]")
    await page.fill("[name=title]", "d")
    await save(page)
    assert stored(server, "document", pk)[1] == ""


async def test_an_image(page, context, server, files):
    await page.goto(server.http("/pictures/"))
    await page.set_input_files("[name=image]", files / "html.png")
    if context.has_script:
        await page.wait_for_selector("[role=alert]")
        await page.click("[aria-label='Remove html.png']")
    else:
        await save(page)
        assert "Upload a valid image." in await page.inner_text("form")
    await page.set_input_files("[name=image]", files / "photo0.png")
    await save(page)
    pk = int(re.search(r"/pictures/(\d+)/", page.url)[1])
    row = stored(server, "picture", pk)
    assert row[2:] == (640, 480)
    assert sha256(server.media / row[1]) == sha256(files / "photo0.png")


async def test_required(page, context, server, files):
    await page.goto(server.http("/pictures/"))
    await page.click("button:text-is('Save')")
    # The browser itself says that a file is missing.
    assert page.url.endswith("/pictures/")
    assert await page.locator("[name=image]:invalid").count() == 1
    await page.set_input_files("[name=image]", files / "photo1.png")
    await save(page)
    assert re.search(r"/pictures/\d+/", page.url)


async def test_several_files(page, context, server, files):
    await page.goto(server.http("/photos/"))
    await page.fill("[name=title]", "a")
    await page.set_input_files("[name=photos]", [files / "notes.txt", files / "photo1.png"])
    if context.has_script:
        # A second choice adds to the first one.
        await page.set_input_files("[name=photos]", files / "photo0.png")
    await save(page)
    saved = json.loads(await page.inner_text("pre"))["saved"]
    names = ["notes.txt", "photo1.png", *(["photo0.png"] if context.has_script else [])]
    assert [name for name, _, _ in saved] == names
    for name, path, _ in saved:
        assert sha256(server.media / path) == sha256(files / name)


@pytest_asyncio.fixture(loop_scope="module")
async def script(browser):
    context = await browser.new_context()
    await trace(context)
    yield context
    await context.close()


async def test_two_tabs_have_files_of_their_own(script, server, files):
    tabs = [await script.new_page() for _ in range(2)]
    saved = []
    for tab in tabs:
        await tab.goto(server.http("/documents/"))
        await tab.set_input_files("[name=file]", files / "photo0.png")
    for tab in tabs:
        await tab.fill("[name=title]", "a")
        await save(tab)
        pk = int(re.search(r"/documents/(\d+)/", tab.url)[1])
        saved.append(stored(server, "document", pk)[1])
    assert len(set(saved)) == 2
    for name in saved:
        assert sha256(server.media / name) == sha256(files / "photo0.png")


async def test_an_interruption_and_a_reload(script, server, files):
    page = await script.new_page()
    sent = []

    async def cut(route):
        # Of the first attempt, the server sees nothing.
        sent.append(route.request.headers["upload-offset"])
        await (route.abort() if len(sent) == 1 else route.continue_())

    await page.route("**/uploads/**", lambda route: route.continue_())
    await page.route(
        "**/uploads/**",
        lambda route: cut(route) if route.request.method == "PATCH" else route.fallback(),
    )
    await page.goto(server.http("/documents/"))
    await page.set_input_files("[name=file]", files / "photo0.png")
    await page.wait_for_selector("[data-state=done]")
    assert sent == ["0", "0"]
    # The tab is reloaded while the next file is on its way. It goes on when it is chosen again.
    created = []
    page.on("request", lambda r: created.append(r.url) if r.method == "POST" else None)
    await page.unroute("**/uploads/**")
    await page.route(
        "**/uploads/**",
        lambda route: route.abort() if route.request.method == "PATCH" else route.continue_(),
    )
    await page.set_input_files("[name=file]", files / "photo1.png")
    await page.wait_for_selector("progress")
    await until(lambda: len(created) == 1)
    await asyncio.sleep(0.5)
    await page.reload()
    await page.unroute("**/uploads/**")
    await page.set_input_files("[name=file]", files / "photo1.png")
    await page.fill("[name=title]", "a")
    await save(page)
    uploads = [url for url in created if "/uploads/" in url]
    assert len(uploads) == 1
    pk = int(re.search(r"/documents/(\d+)/", page.url)[1])
    name = stored(server, "document", pk)[1]
    assert sha256(server.media / name) == sha256(files / "photo1.png")


async def test_without_the_endpoint(script, server, files):
    """The file is posted with the form, as if there were no JavaScript."""
    page = await script.new_page()
    await page.route("**/uploads/**", lambda route: route.fulfill(status=404, body="not here"))
    await page.goto(server.http("/documents/"))
    await page.set_input_files("[name=file]", files / "photo2.png")
    await page.fill("[name=title]", "a")
    await save(page)
    pk = int(re.search(r"/documents/(\d+)/", page.url)[1])
    name = stored(server, "document", pk)[1]
    assert sha256(server.media / name) == sha256(files / "photo2.png")


async def log_in(page, server):
    await page.goto(server.http("/admin/login/?next=/admin/tests/document/add/"))
    await page.fill("[name=username]", "admin")
    await page.fill("[name=password]", "admin")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[name=file]")
    # Our scripts have run, and the admin's last one, which puts the focus on the first field.
    await page.wait_for_load_state("networkidle")
    await page.wait_for_function("document.activeElement != document.body")


async def test_axe_finds_nothing_in_the_admin_that_stock_does_not_have(script, server, files):
    page = await script.new_page()
    await log_in(page, server)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        found = {}
        for name in ("stock-admin", "admin"):
            await page.goto(server.http(f"/{name}/tests/document/add/"))
            await page.wait_for_load_state("networkidle")
            rules = await rules_broken(page)
            await page.set_input_files("[name=file]", files / "photo0.png")
            if name == "admin":
                await page.wait_for_selector("[data-state=done]")
                rules |= await rules_broken(page)
            await page.set_input_files("[name=attachment_set-0-file]", files / "empty.bin")
            await page.click("[name=_continue]")
            await page.wait_for_selector(".errorlist")
            found[name] = rules | await rules_broken(page)
        assert found["admin"] <= found["stock-admin"]


async def rules_broken(page):
    # What axe calls a missing label depends on whether the input has a description. A row of the
    # admin has no labels, and Django 6 describes some inputs of it.
    names = {"label-title-only": "label"}
    rules = [finding.partition(":")[0] for finding in await findings(page)]
    return {names.get(rule, rule) for rule in rules}


async def test_the_admin_by_keyboard(script, server, files):
    page = await script.new_page()
    # Playwright tells the browser that it answers the dialog: now, not while a key is pressed.
    page.on("filechooser", lambda chooser: None)
    await log_in(page, server)
    async with page.expect_file_chooser() as chooser:
        await page.locator("[name=file]").press("Enter")
    await (await chooser.value).set_files(files / "photo0.png")
    await page.wait_for_selector("[data-state=done]")
    await page.focus("[name=file]")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.ariaLabel") == "Remove photo0.png"
    await page.keyboard.press("Enter")
    assert await page.locator("[data-state=done]").count() == 0
    # The focus is not lost.
    assert await page.evaluate("document.activeElement.name") == "file"
    # A row that a script adds sends its file as well.
    await page.click(".add-row a")
    await page.set_input_files("[name=attachment_set-1-file]", files / "photo1.png")
    await page.wait_for_selector("[data-state=done]")
    await page.click("[name=_continue]")
    await page.wait_for_selector(".success")
    names = await page.locator("p.file-upload a").all_inner_texts()
    assert [name.split("/")[0] for name in names] == ["attachments"]
    assert sha256(server.media / names[0]) == sha256(files / "photo1.png")
