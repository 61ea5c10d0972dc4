"""Chromium, as Debian packages it, driven by Playwright.

With ``HEADED=1`` in the environment, tests open a window, and wait half a second before each
action. With ``TRACES=directory``, each page leaves a trace of its test there. The command
``playwright show-trace`` shows what the page looked like at each action.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ElementHandle, Page

#: Playwright's own build can't be had everywhere; Debian's packages can.
WITH_WINDOW = ("chromium", "chromium-browser", "google-chrome")

#: The same engine without the browser's own pages, which cost a third of a second for each of ours.
WITHOUT_WINDOW = ("chromium-headless-shell", *WITH_WINDOW)

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]

#: Records what the client says of uploads, reads of files, preview URLs and sockets, for the tests
#: to ask.
RECORDER = """
window.recorded = {progress: [], errors: [], reads: [], urls: 0};
addEventListener("djust:upload:progress", (e) => recorded.progress.push(e.detail));
addEventListener("djust:upload:error", (e) => recorded.errors.push(e.detail));
const {arrayBuffer} = Blob.prototype;
Blob.prototype.arrayBuffer = function () {
  recorded.reads.push(this.size);
  return arrayBuffer.call(this);
};
const {createObjectURL, revokeObjectURL} = URL;
URL.createObjectURL = (file) => { recorded.urls += 1; return createObjectURL(file); };
window.sockets = [];
WebSocket = class extends WebSocket {
  bytesSent = 0;
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
  send(data) {
    this.bytesSent += data.size ?? data.byteLength ?? data.length;
    super.send(data);
  }
};
URL.revokeObjectURL = (url) => { recorded.urls -= 1; revokeObjectURL(url); };
"""


def executable(names: Sequence[str] = WITH_WINDOW) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise RuntimeError("No Chromium: run 'make browser', or 'apt-get install chromium'.")


async def launch(playwright: Any) -> Browser:
    headed = bool(os.environ.get("HEADED"))
    return await playwright.chromium.launch(
        executable_path=executable(WITH_WINDOW if headed else WITHOUT_WINDOW),
        headless=not headed,
        slow_mo=500 if headed else 0,
        args=ARGUMENTS,
    )


async def open_page(browser: Browser | BrowserContext, url: str) -> Page:
    """A page in a profile of its own, or in that of a context, ready for files.
    ``page.complaints`` collects what the console reports as an error: failures of ours, and
    violations of the security policy."""
    page = await browser.new_page()
    await trace(page.context)
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    await page.add_init_script(RECORDER)
    await page.goto(url)
    return page


async def trace(context: BrowserContext) -> None:
    """Record what the pages of the context do until the context is closed, if ``TRACES`` is set."""
    directory = os.environ.get("TRACES")
    if not directory or hasattr(context, "traced"):
        return
    context.traced = True
    test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (setup)").removesuffix(" (call)")
    path = Path(directory) / f"{re.sub('[^A-Za-z0-9.]+', '-', test).strip('-')}-{id(context):x}.zip"
    close = context.close

    async def save_and_close(**options: Any) -> None:
        await context.tracing.stop(path=path)
        await close(**options)

    await context.tracing.start(screenshots=True, snapshots=True)
    context.close = save_and_close


async def recorded(page: Page) -> dict[str, Any]:
    return await page.evaluate("recorded")


async def drag(page: Page, zone: ElementHandle, kind: str, paths: list[Path]) -> None:
    """A real drag of real files over or onto an element, as the operating system would send it:
    https://chromedevtools.github.io/devtools-protocol/tot/Input/#method-dispatchDragEvent."""
    box = await zone.bounding_box()
    session = await page.context.new_cdp_session(page)
    await session.send(
        "Input.dispatchDragEvent",
        {
            "type": kind,
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + 12,
            "data": {"items": [], "files": [str(p) for p in paths], "dragOperationsMask": 1},
        },
    )


async def choose(page: Page, *paths: Path) -> None:
    await page.set_input_files("[dj-upload]", [str(path) for path in paths])


async def rows(page: Page, status: str, count: int = 1) -> None:
    """Wait until so many files are shown with a status."""
    await page.wait_for_selector(f":nth-match([data-status={status}], {count})")


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    assert condition()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
