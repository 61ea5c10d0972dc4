"""Files and folders that are dragged over a page and dropped there."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from tests.browser.chromium import drag
from tests.browser.fake_server import ORIGIN, run
from tests.browser.states import GUIDE, show
from tests.browser.test_page import open_markup

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader")
    return path


async def test_a_file_dropped_beside_the_zone_is_not_opened(page, letter):
    await open_markup(page, GUIDE + '<p id="beside">Beside</p>')
    await run(page, "await drawn();")
    for kind in ("dragEnter", "dragOver", "drop"):
        await drag(page, await page.query_selector("#beside"), kind, [letter])
    told = await run(
        page,
        """
        const drop = new DragEvent("drop", {
          bubbles: true, cancelable: true, dataTransfer: new DataTransfer(),
        });
        drop.dataTransfer.items.add(textFile());
        document.getElementById("beside").dispatchEvent(drop);
        return [drop.defaultPrevented, page.all.length];
        """,
    )
    assert told == [True, 0]
    assert page.url == f"{ORIGIN}/state/"
    assert len(page.context.pages) == 1


ZONES = """
<div dj-upload-drop="files" id="outer" style="padding: 40px">
  <div dj-upload-drop="files" id="inner" style="height: 40px"></div>
</div>
<p id="beside">Beside</p>
"""


@pytest.mark.parametrize("where", ["page", "shadow"])
async def test_only_the_zone_that_files_are_over_is_lit(page, letter, where):
    await open_markup(page, '<div id="host"></div>')
    await page.evaluate(
        """([where, markup]) => {
          const root = where === "page" ? host : host.attachShadow({mode: "open"});
          root.innerHTML = markup;
        }""",
        [where, ZONES],
    )
    await run(page, "await drawn();")

    async def lit(kind, selector):
        # Chromium says that files have left an element when it hears the next time where they are.
        for each in (kind, "dragOver"):
            await drag(page, await page.query_selector(selector), each, [letter])
        found = page.locator(".upload-dragover")
        return await found.evaluate_all("zones => zones.map(({id}) => id)")

    assert await lit("dragEnter", "#outer") == ["outer"]
    assert await lit("dragOver", "#inner") == ["inner"]
    assert await lit("dragOver", "#outer") == ["outer"]
    assert await lit("dragOver", "#beside") == []
    # A patch takes away what the files are over.
    assert await lit("dragOver", "#inner") == ["inner"]
    await page.eval_on_selector("#inner", "inner => inner.replaceWith(inner.cloneNode(true))")
    assert await lit("dragOver", "#beside") == []
    # They leave the window. The protocol has no drag that does so.
    assert await lit("dragOver", "#inner") == ["inner"]
    leave = 'new DragEvent("dragleave", {bubbles: true, composed: true})'
    await page.eval_on_selector("#inner", f"inner => inner.dispatchEvent({leave})")
    assert await page.locator(".upload-dragover").count() == 0


@pytest_asyncio.fixture(loop_scope="module")
async def drop_folder(page, tmp_path):
    """A function that drops a folder with two files, as a file manager of Linux does."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)

    async def drop():
        session = await page.context.new_cdp_session(page)
        text = {"mimeType": "text/uri-list", "data": folder.as_uri()}
        data = {"items": [text], "files": [str(folder)], "dragOperationsMask": 1}
        box = await (await page.query_selector("[dj-upload-drop]")).bounding_box()
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 12, "data": data}
            await session.send("Input.dispatchDragEvent", event)
        return folder

    return drop


async def test_an_empty_folder_changes_nothing(page, drop_folder, tmp_path):
    for path in (tmp_path / "folder").iterdir():
        path.unlink()
    await show(page, "failed", GUIDE)
    await page.evaluate(
        """async () => {
          const {Uploads} = await import("/static/djust_uploads/uploads/uploads.js");
          const {add} = Uploads.prototype;
          window.added = new Promise((resolve) => {
            Uploads.prototype.add = function (name, files) {
              resolve(files.length);
              return add.call(this, name, files);
            };
          });
        }"""
    )
    await drop_folder()
    assert await page.evaluate("added") == 0
    await run(page, "await drawn();")
    assert await page.locator(".upload-card").count() == 3


async def test_a_dropped_folder_that_came_with_its_path_as_text(page, drop_folder):
    await show(page, "empty", GUIDE)
    await drop_folder()
    await page.wait_for_selector(":nth-match(.upload-card, 2)")
    names = await page.locator(".upload-name").all_inner_texts()
    assert sorted(names) == ["a.txt", "b.txt"]


async def test_a_file_that_is_deleted_while_its_folder_is_read_is_said(page, drop_folder):
    await show(page, "empty", GUIDE)
    opened = asyncio.Event()
    deleted = asyncio.Event()

    async def delete():
        opened.set()
        await deleted.wait()

    await page.expose_function("deleteOne", delete)
    await page.evaluate(
        """() => addEventListener("drop", ({dataTransfer}) => {
          const [item] = Array.from(dataTransfer.items).filter(({kind}) => kind === "file");
          const reader = Object.getPrototypeOf(item.webkitGetAsEntry().createReader());
          const {readEntries} = reader;
          reader.readEntries = function (resolve, reject) {
            readEntries.call(this, (entries) => deleteOne().then(() => resolve(entries)), reject);
          };
        }, {capture: true, once: true})"""
    )
    folder = await drop_folder()
    await opened.wait()
    (folder / "b.txt").unlink()
    deleted.set()
    await page.wait_for_selector(":nth-match(.upload-card, 2)")
    told = await run(page, "return page.all.map(({name, code}) => [name, code])")
    assert sorted(told) == [["a.txt", None], ["b.txt", "unreadable"]]
