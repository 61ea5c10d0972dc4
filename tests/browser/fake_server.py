"""The client's modules in a page without a server: fake_server.js is the socket's other end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Route

from tests.browser.chromium import RECORDER
from tests.support.servers import ROOT

#: Nobody listens there: all that is asked for is answered by the test. Chromium takes localhost for
#: a secure origin.
ORIGIN = "http://localhost:9"

PAGE = """<!doctype html><title>uploads</title><link rel="icon" href="data:,">
<form>
  <div dj-upload-drop="files"><input type="file" dj-upload="files" required></div>
  <div dj-upload-preview="files"></div>
  <div dj-upload-progress="files"></div>
</form>
"""

#: Has what a test needs in the page, and begins with the page's connection.
PROLOGUE = """
const {Page, textFile, records, drawn} = await import("/fake_server.js");
const page = window.fakePage ??= new Page();
const socket = page.socket ?? page.connect();
await drawn();
const resumes = (...sockets) => sockets.map((socket) => socket.of("upload_resume").length);
"""


@contextlib.asynccontextmanager
async def new_context(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(**options)
    await context.route(f"{ORIGIN}/**", _answer)
    await context.add_init_script(RECORDER)
    yield context
    await context.close()


async def _answer(route: Route) -> None:
    path = route.request.url.removeprefix(ORIGIN)
    if path == "/fake_server.js":
        await route.fulfill(path=Path(__file__).with_suffix(".js"))
    elif path.startswith("/static/"):
        await route.fulfill(path=ROOT / "djust_uploads" / path.lstrip("/"))
    else:
        await route.fulfill(body=PAGE, content_type="text/html")


async def run(page: Page, script: str, argument: Any = None) -> Any:
    """Evaluate the body of an async function in the page."""
    return await page.evaluate(f"async (argument) => {{ {PROLOGUE} {script} }}", argument)
