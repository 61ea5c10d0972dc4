"""Pages in each state that a user may see, for axe to judge and for people to look at.

``python -m tests.browser.states DIRECTORY`` saves a picture of each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Route, async_playwright

from djust_uploads.texts import catalogue
from tests.browser.chromium import launch
from tests.browser.fake_server import ORIGIN, new_context, run
from tests.browser.frameworks import bootstrap, tailwind

#: The guide's markup: previews and progress in containers of their own.
GUIDE = """
<form id="form">
  <div dj-upload-drop="files" class="drop-zone">
    <p>Drag and drop your files here</p>
    <input type="file" dj-upload="files" aria-label="Files">
    <div dj-upload-preview="files"></div>
  </div>
  <div dj-upload-progress="files"></div>
  <button type="submit">Save</button>
</form>
"""

#: Only the progress, as pages need it at least.
PROGRESS = """
<form id="form">
  <label for="files">Files</label>
  <input type="file" dj-upload="files" id="files">
  <div dj-upload-progress="files"></div>
  <button type="submit">Save</button>
</form>
"""

MARKUPS = {"guide": GUIDE, "progress": PROGRESS}

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; padding: 1rem; max-width: 48rem; background: #fff; color: #1c2430; }
.drop-zone { border: 2px dashed #8b95a5; padding: 1.5rem; text-align: center; }
.drop-zone.upload-dragover { border-color: #007bff; }
@media (prefers-color-scheme: dark) { body { background: #14181f; color: #e6e9ef; } }
"""

#: Brings the page into a state. The socket's other end is the test.
STATES = {
    "empty": "",
    "chosen": """
        page.connect({auto_upload: false});
        page.uploads.add("files", [await picture("photo.png"), file("notes.txt", 1234)]);
    """,
    "uploading": """
        const uploads = [await picture("a photo of the sea.png", 9_000_000), film(),
          file("letter.pdf", 123456, "application/pdf"), file("song.mp3", 4e6, "audio/mpeg")];
        const [one, two] = page.uploads.add("files", uploads);
        await registered(2);
        page.progress(one, "uploading", 43);
        page.progress(two, "uploading", 7);
    """,
    "complete": """
        const [one, two, three] = page.uploads.add("files", [await picture("photo.png"),
          await picture("a picture with a long name, as cameras and people give them.jpeg"),
          file("report.docx", 98765)]);
        await registered(3);
        for (const upload of [one, two, three]) page.progress(upload, "complete", 100);
    """,
    "paused": """
        const [one, two] = page.uploads.add("files", [await picture("photo.png"), film()]);
        await registered(2);
        page.progress(one, "uploading", 43);
        page.progress(two, "uploading", 7);
        page.uploads.pause(two.ref);
    """,
    "failed": """
        const [one, two, three] = page.uploads.add("files", [await picture("photo.png"),
          film(), file("page.png", 1234)]);
        await registered(3);
        page.progress(one, "complete", 100);
        page.fail(two, "storage_unavailable",
          "The storage does not answer at the moment. Please try again.");
        page.fail(three, "active_content",
          "Files that can run scripts (HTML, SVG, JavaScript) are not accepted.");
    """,
    "refused": """
        page.connect({accept: ".png"});
        const many = Array.from({length: 30}, (_, at) => file(`part${at}.bin`, 1234));
        const big = file("big.png", 3e9, "image/png");
        page.uploads.add("files", [await picture("photo.png"), big, ...many]);
    """,
    "waiting": """
        const [one] = page.uploads.add("files", [await picture("photo.png"), film()]);
        await registered(2);
        page.progress(one, "uploading", 43);
        page.socket.lose();
    """,
    "saving": """
        const [one] = page.uploads.add("files", [await picture("photo.png"), film()]);
        await registered(2);
        page.progress(one, "uploading", 43);
        document.querySelector("form").requestSubmit();
    """,
    "saved": """
        const pictures = [await picture("photo.png"), await picture("other.png")];
        const uploads = page.uploads.add("files", pictures);
        await registered(2);
        for (const upload of uploads) page.progress(upload, "complete", 100);
        await drawn();
        const refs = uploads.map(({ref}) => ref);
        page.socket.hear({type: "upload_consumed", upload_name: "files", refs});
    """,
    "nothing": """
        addEventListener("submit", (event) => event.preventDefault());
        document.querySelector("form").requestSubmit();
    """,
    "many": """
        page.connect({max_entries: 200});
        const all = Array.from({length: 120}, (_, at) => file(`file ${at}.bin`, 1000 + at));
        const uploads = page.uploads.add("files", all);
        await registered(3);
        page.progress(uploads[0], "complete", 100);
        page.progress(uploads[1], "uploading", 60);
    """,
    "dragging": """
        document.querySelector("[dj-upload-drop]")?.classList.add("upload-dragover");
    """,
}

SETUP = """
const file = (name, size, type = "") => {
  const made = new File(["x"], name, {type, lastModified: 1});
  // As large as it says, without the bytes.
  Object.defineProperty(made, "size", {value: size});
  return made;
};
const film = () => file("film.mp4", 48e6, "video/mp4");
const picture = async (name, size) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext("2d");
  const hue = 37 * name.length;
  const gradient = context.createLinearGradient(0, 0, 320, 240);
  gradient.addColorStop(0, `hsl(${hue} 70% 60%)`);
  gradient.addColorStop(1, `hsl(${hue + 90} 70% 35%)`);
  context.fillStyle = gradient;
  context.fillRect(0, 0, 320, 240);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  const made = new File([blob], name, {type: "image/png", lastModified: 1});
  if (size) Object.defineProperty(made, "size", {value: size});
  return made;
};
const registered = async (count) => {
  for (const {ref} of await page.socket.wait("upload_register", count)) {
    page.socket.hear({type: "upload_registered", ref, upload_name: "files", offset: 0, limit: 0,
                      chunk_size: 10, resumable: true});
  }
};
page.socket.of("upload_register").length || page.connect({max_file_size: 2_000_000_000});
"""


def document(markup: str, *, head: str = "", language: str = "en", direction: str = "ltr") -> str:
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><title>Uploads</title>'
        '<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style>{head}"
        '<link rel="stylesheet" href="/static/djust_uploads/uploads.css">'
        f"</head><body><main><h1>Files</h1>{markup}</main></body></html>"
    )


async def show(page: Page, state: str, markup: str, **options: Any) -> None:
    """Load a page and bring it into a state."""

    async def answer(route: Route) -> None:
        await route.fulfill(body=document(markup, **options), content_type="text/html")

    await page.unroute_all()
    await page.route(f"{ORIGIN}/state/", answer)
    await page.goto(f"{ORIGIN}/state/")
    await page.evaluate("localStorage.clear()")
    await page.evaluate("sessionStorage.clear()")
    await run(page, f"{SETUP} {STATES[state]} await drawn(); await drawn();")


#: Heads of pages with the styles of others.
FRAMEWORKS = {"bootstrap": bootstrap, "tailwind": tailwind}


def texts(language: str) -> str:
    """What ``{% upload_assets %}`` puts into a page for its language."""
    content = json.dumps(catalogue(language))
    return f'<script id="djust-upload-texts" type="application/json">{content}</script>'


async def _save_others(browser: Browser, directory: Path) -> None:
    """With the styles of frameworks, from right to left, and in forced colours."""
    persian = {"language": "fa", "direction": "rtl", "head": texts("fa")}
    async with new_context(browser, viewport={"width": 700, "height": 720}) as context:
        page = await context.new_page()
        for state in ("uploading", "failed"):
            for name, head in FRAMEWORKS.items():
                await show(page, state, PROGRESS, head=head())
                await page.screenshot(path=directory / f"{state}-{name}.png")
            await show(page, state, GUIDE, **persian)
            await page.screenshot(path=directory / f"{state}-fa.png")
            await page.emulate_media(forced_colors="active")
            await show(page, state, PROGRESS)
            await page.screenshot(path=directory / f"{state}-forced.png")
            await page.emulate_media(forced_colors="none")


async def _save(browser: Browser, directory: Path, *names: str) -> None:
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            async with new_context(
                browser, color_scheme=scheme, viewport={"width": width, "height": 720}
            ) as context:
                page = await context.new_page()
                for markup, html in MARKUPS.items():
                    for state in names or STATES:
                        await show(page, state, html)
                        await page.wait_for_timeout(150)
                        path = directory / f"{state}-{markup}-{scheme}-{width}.png"
                        await page.screenshot(path=path, full_page=state != "many")


async def _main(directory: Path, *names: str) -> None:
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        await _save(browser, directory, *names)
        if not names:
            await _save_others(browser, directory)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), *sys.argv[2:]))
