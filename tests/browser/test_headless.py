"""``uploader.js`` without our page: the examples of docs/headless.md, and a worker."""

from __future__ import annotations

import json
import os

import pytest
import pytest_asyncio

from tests.browser.chromium import open_page, until
from tests.support import npm
from tests.support.link import Link
from tests.support.servers import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("headless") / "uploads"
    with serve("tests.sites.headless:application", uploads) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def open_example(browser, site):
    """Opens an example; what it would load from npm's public copy comes from ours."""

    async def from_npm(route):
        package, _, file = route.request.url.removeprefix("https://unpkg.com/").partition("/")
        await route.fulfill(path=npm.modules() / package.rpartition("@")[0] / file)

    contexts = []

    async def opened(name):
        context = await browser.new_context()
        contexts.append(context)
        await context.route("https://unpkg.com/**", from_npm)
        return await open_page(context, site.http(f"/{name}/"))

    yield opened
    for context in contexts:
        await context.close()


def stored(site) -> list[str]:
    return sorted(path.name for path in (site.uploads / "photos").glob("*"))


async def test_plain_javascript(open_example, site, files):
    page = await open_example("plain")
    await page.set_input_files("#files", [files / "photo0.png", files / "notes.txt"])
    await page.wait_for_selector("li:has-text('photo0.png: complete 100%')")
    assert "not accepted" in await page.inner_text("li:has-text('notes.txt')")
    await page.click("#save")
    await page.wait_for_selector("#saved:has-text('photo0')")
    assert await page.locator("li").count() == 1, "what was consumed is gone"
    assert any(name.startswith("photo0") for name in stored(site))
    assert page.complaints == []


async def test_htmx(open_example, site, files):
    page = await open_example("htmx")
    await page.set_input_files("#files", files / "photo1.png")
    await page.click("text=Save")
    await page.wait_for_selector("#answer:has-text('Saved: Holidays')")
    # The consumer has saved the files before htmx posted the form.
    assert any(name.startswith("photo1") for name in stored(site))
    assert page.complaints == []


async def test_react(open_example, files):
    page = await open_example("react")
    await page.set_input_files("input", files / "photo2.png")
    await page.wait_for_selector("li:has-text('photo2.png: complete 100%')")
    await page.click("text=Remove")
    await page.wait_for_selector("li", state="detached")
    assert page.complaints == []


async def test_a_worker_has_no_dom(open_example, site, files):
    page = await open_example("plain")
    saved = await page.evaluate(
        """(png) => new Promise((resolve, reject) => {
          const worker = new Worker("/worker.js", { type: "module" });
          worker.onmessage = ({ data }) => resolve(data.name);
          worker.onerror = (event) => reject(new Error(event.message));
          const bytes = Uint8Array.from(png.match(/../g), (byte) => parseInt(byte, 16));
          worker.postMessage(new File([bytes], "worker.png", { type: "image/png" }));
        })""",
        (files / "photo0.png").read_bytes().hex(),
    )
    assert saved.startswith("photos/worker")
    await until(lambda: any(name.startswith("worker") for name in stored(site)))


async def test_a_chunk_that_was_damaged_on_its_way(browser, files, tmp_path):
    """The page sends checksums if the server wants them."""
    settings = json.dumps({"CHUNK_CHECKSUMS": True})
    good, damaged = tmp_path / "good.png", tmp_path / "damaged.png"
    for picture in (good, damaged):
        picture.write_bytes((files / "photo0.png").read_bytes() + os.urandom(2_000_000))
    application = "tests.sites.headless:application"
    context = await browser.new_context()
    with serve(application, tmp_path / "uploads", UPLOAD_SETTINGS=settings) as server:
        async with Link([server.port]) as link:
            page = await open_page(context, link.http("/plain/"))
            await page.set_input_files("#files", good)
            await page.wait_for_selector("li:has-text('good.png: complete 100%')")
            link.damage_after(1_000_000)
            await page.set_input_files("#files", damaged)
            await page.wait_for_selector(
                "li:has-text('damaged.png: The file was damaged on its way')"
            )
            assert page.complaints == []
    await context.close()


async def test_an_uploader_that_is_closed_keeps_nothing_in_memory(open_example, files):
    """A page of many views makes one after the other."""
    page = await open_example("plain")
    await page.set_input_files("#files", files / "photo0.png")
    await page.wait_for_selector("li:has-text('photo0.png: complete 100%')")
    await page.evaluate(
        """async () => {
          const {Uploader} = await import("/static/djust_uploads/uploader.js");
          window.kept = [];
          for (let at = 0; at < 3; at += 1) {
            const uploader = new Uploader("/ws/gallery/");
            await new Promise((resolve) => uploader.addEventListener("mounted", resolve));
            const picture = new File(["x"], "a.png", {type: "image/png"});
            uploader.add("photos", [picture]);
            kept.push(new WeakRef(picture));
            const closed = new Promise((resolve) => uploader.addEventListener("lost", resolve));
            uploader.close();
            await closed;
          }
          sockets.length = 0; // which the test itself keeps
        }"""
    )
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    kept = await page.evaluate("kept.map((file) => file.deref()?.name ?? null)")
    assert kept == [None, None, None]
