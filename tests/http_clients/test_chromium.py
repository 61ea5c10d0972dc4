"""tus-js-client and Uppy in Chromium, and tus-js-client's own tests that touch a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Error, Page, async_playwright

from tests.browser.chromium import launch
from tests.http_clients.support import (
    LARGE,
    MIB,
    SIZES,
    append,
    create,
    digest,
    every_protocol,
    expired_upload,
    file_of,
    request,
    stored,
)
from tests.support import npm
from tests.support.link import Link

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = Path(__file__).parent / "pages"

#: The server that tus-js-client's own tests use.
DEMO = "https://tusd.tusdemo.net/files/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


class Pages:
    """A server of another origin than the endpoint's, with the pages and npm's packages."""

    def __init__(self, directory: Path) -> None:
        #: What is here comes first.
        self.directory = directory
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[SimpleHTTPRequestHandler]:
        places = (self.directory, PAGES, npm.modules())

        class Handler(SimpleHTTPRequestHandler):
            extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

            def translate_path(self, path: str) -> str:
                name = path.partition("?")[0].lstrip("/")
                found = [place / name for place in places if (place / name).is_file()]
                return str(found[0] if found else PAGES / "none")

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    pages = Pages(tmp_path_factory.mktemp("pages"))
    yield pages
    pages.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser, pages):
    """A browser's profile. Relative addresses are those of the pages."""
    context = await browser.new_context(base_url=pages.url)
    yield context
    await context.close()


class Tab:
    """A page, and what the client on it has said."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def until(self, name: str, seconds: float = 60, **values: Any) -> dict[str, Any]:
        """The first event of that name, with at least these values."""
        found = await self.page.wait_for_function(
            """([name, values]) => {
              const end = events.find(({event}) => event === "success" || event === "error");
              const found = events.find((event) => event.event === name
                && Object.entries(values).every(([key, value]) => event[key] >= value));
              return found || (end && {event: "other", end});
            }""",
            arg=[name, values],
            timeout=seconds * 1000,
        )
        event = await found.json_value()
        assert event["event"] == name, event
        return event


async def tus_js(context: BrowserContext, path: Path, url: str, **options: Any) -> Tab:
    """A page on which tus-js-client uploads a file to an endpoint."""
    page = await context.new_page()
    await page.goto("/tus.html")
    await page.set_input_files("input", path)
    await page.evaluate("options => { start(options) }", {"endpoint": url, **options})
    return Tab(page)


async def uppy(context: BrowserContext, path: Path, url: str) -> Tab:
    """A page on which somebody has chosen a file in Uppy's Dashboard."""
    page = await context.new_page()
    await page.goto(f"/uppy.html?endpoint={url}")
    await page.locator(".uppy-Dashboard-input").first.set_input_files(path)
    await page.click(".uppy-StatusBar-actionBtn--upload")
    return Tab(page)


CLIENTS = {"tus-js-client": tus_js, "Uppy": uppy}

both = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


async def kill(page: Page) -> None:
    """Kill the process of the page."""
    with contextlib.suppress(Error):
        await page.goto("chrome://crash")
    await page.close()


def direct(url: str, link: Link, port: int) -> str:
    return url.replace(f":{link.port}/", f":{port}/")


@every_protocol
@pytest.mark.parametrize("size", SIZES)
async def test_sizes(context, endpoint, files, protocol, size):
    path = file_of(files, size)
    tab = await tus_js(context, path, endpoint.url, protocol=protocol)
    uploaded = await tab.until("success")
    assert await stored(uploaded["url"]) == digest(path)


@pytest.mark.parametrize("size", SIZES)
async def test_sizes_by_uppy(context, endpoint, files, size):
    path = file_of(files, size)
    tab = await uppy(context, path, endpoint.url)
    uploaded = await tab.until("success")
    await tab.page.wait_for_selector(".uppy-StatusBar.is-complete")
    assert await stored(uploaded["url"]) == digest(path)


@both
async def test_a_large_file(context, endpoint, files, client):
    path = file_of(files, LARGE)
    tab = await client(context, path, endpoint.url)
    uploaded = await tab.until("success", 120)
    assert await stored(uploaded["url"]) == digest(path)


@every_protocol
async def test_cut_ten_times(context, endpoint, files, protocol):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=30_000_000) as link:
        link.reset_after(*[600_000] * 10)
        url = link.http(endpoint.path)
        tab = await tus_js(context, path, url, protocol=protocol, retryDelays=[0] * 5)
        uploaded = await tab.until("success")
        assert not link.will_reset
        assert await stored(uploaded["url"]) == digest(path)
        await tab.page.close()


async def test_uppy_is_cut_ten_times(context, endpoint, files):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=30_000_000) as link:
        link.reset_after(*[600_000] * 10)
        tab = await uppy(context, path, link.http(endpoint.path))
        uploaded = await tab.until("success")
        assert not link.will_reset
        assert await stored(uploaded["url"]) == digest(path)
        await tab.page.close()


@both
async def test_the_page_s_process_is_killed(context, endpoint, files, client):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=4_000_000) as link:
        url = link.http(endpoint.path)
        tab = await client(context, path, url)
        await tab.until("progress", sent=3 * MIB)
        # The address of the upload is kept when it is known, and the browser writes it down soon.
        await asyncio.sleep(0.5)
        await kill(tab.page)
        before = endpoint.server.temporary_files()
        tab = await client(context, path, url)
        uploaded = await tab.until("success")
        assert await stored(uploaded["url"]) == digest(path)
        assert endpoint.server.temporary_files() == before, "it went on, and did not start anew"
        await tab.page.close()


@both
async def test_the_server_s_process_is_killed(context, endpoint, files, client):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=4_000_000) as link:
        options = {"retryDelays": [300] * 30} if client is tus_js else {}
        tab = await client(context, path, link.http(endpoint.path), **options)
        await tab.until("progress", sent=3 * MIB)
        await asyncio.to_thread(endpoint.server.kill)
        await asyncio.to_thread(endpoint.server.start)
        uploaded = await tab.until("success")
        assert await stored(uploaded["url"]) == digest(path)
        await tab.page.close()


async def test_of_two_clients_the_later_one_wins_and_the_earlier_one_is_told(
    context, endpoint, files
):
    path = file_of(files, 5 * MIB)
    async with Link([endpoint.server.port], rate=1_000_000) as link:
        slow = {"retryDelays": [0, 0]}
        earlier = await tus_js(context, path, link.http(endpoint.path), **slow)
        begun = await earlier.until("url")
        await earlier.until("progress", sent=MIB)
        url = direct(begun["url"], link, endpoint.server.port)
        later = await tus_js(context, path, endpoint.url, uploadUrl=url)
        await later.until("success")
        error = await earlier.until("error")
        await earlier.page.close()
    assert error["status"] == 400
    assert "goes on with this upload" in error["body"]
    assert await stored(url) == digest(path)


async def test_an_offset_that_is_wrong_meanwhile(context, endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    async with Link([endpoint.server.port], delay=1.5) as link:
        slow = url.replace(str(endpoint.server.port), str(link.port))
        options = {"uploadUrl": slow, "retryDelays": [100] * 5}
        tab = await tus_js(context, path, link.http(endpoint.path), **options)
        await tab.until("url")
        assert (await append(url, 0, path.read_bytes()[:1000])).status_code == 204
        await tab.until("success")
        await tab.page.close()
    assert await stored(url) == digest(path)


@every_protocol
async def test_what_was_terminated_or_has_expired_starts_anew(
    context, endpoint, hasty, files, protocol
):
    path = file_of(files, 5 * MIB)
    terminated = await create(hasty.url, 5 * MIB)
    assert (await request("DELETE", terminated)).status_code == 204
    for url in (terminated, await expired_upload(hasty, path.read_bytes())):
        tab = await tus_js(context, path, hasty.url, protocol=protocol, uploadUrl=url)
        uploaded = await tab.until("success")
        assert uploaded["url"] != url
        await tab.page.close()


async def test_what_is_cancelled_in_uppy_is_deleted(context, endpoint, files):
    path = file_of(files, 8 * MIB)
    before = endpoint.server.temporary_files()
    async with Link([endpoint.server.port], rate=3_000_000) as link:
        tab = await uppy(context, path, link.http(endpoint.path))
        await tab.until("progress", sent=2 * MIB)
        await tab.page.click(".uppy-StatusBar-actionCircleBtn >> nth=-1")
        for _ in range(100):
            if endpoint.server.temporary_files() == before:
                break
            await asyncio.sleep(0.1)
        await tab.page.close()
    assert endpoint.server.temporary_files() == before


async def test_uppy_pauses_and_goes_on(context, endpoint, files):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=4_000_000) as link:
        tab = await uppy(context, path, link.http(endpoint.path))
        await tab.until("progress", sent=MIB)
        button = tab.page.locator(".uppy-StatusBar-actionCircleBtn").first
        await button.click()
        await tab.page.wait_for_selector("text=Paused")
        await button.click()
        uploaded = await tab.until("success")
        assert await stored(uploaded["url"]) == digest(path)
        await tab.page.close()


async def test_tus_js_client_s_own_tests_that_touch_a_server(context, endpoint, pages):
    code = (npm.modules() / "tus-js-client" / "dist" / "browser-test-bundle.js").read_text()
    assert code.count(f"'{DEMO}'") == 2
    code = code.replace(f"'{DEMO}'", json.dumps(endpoint.url))
    pattern = re.escape(DEMO).replace("/", r"\/")
    assert code.count(pattern) == 2
    code = code.replace(pattern, re.escape(endpoint.url).replace("/", r"\/"))

    (pages.directory / "bundle.js").write_text(code)
    page = await context.new_page()
    await page.goto("/jasmine.html")
    await page.wait_for_function("finished", timeout=60_000)
    specs = await page.evaluate("specs")
    assert [spec["status"] for spec in specs] == ["passed", "passed"], specs
