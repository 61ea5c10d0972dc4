"""How the client gets on with a page: with its scripts, its markup, and what users do there."""

from __future__ import annotations

import pytest

from tests.browser.chromium import drag
from tests.browser.fake_server import ORIGIN, run
from tests.browser.states import GUIDE, PROGRESS, document, show

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def open_markup(page, markup):
    """The page as it is before our script."""

    async def answer(route):
        await route.fulfill(body=document(markup), content_type="text/html")

    await page.unroute_all()
    await page.route(f"{ORIGIN}/state/", answer)
    await page.goto(f"{ORIGIN}/state/")


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader")
    return path


async def test_a_file_chosen_before_the_script_is_taken(page, letter):
    await open_markup(page, PROGRESS)
    await page.set_input_files("#files", letter)
    sent = await run(
        page,
        """
        const [{client_name}] = await socket.wait("upload_register");
        await drawn();
        return [client_name, document.querySelector("#files").files.length, page.all.length];
        """,
    )
    assert sent == ["letter.txt", 1, 1]


async def test_a_slot_that_is_declared_again(page):
    await open_markup(
        page,
        PROGRESS + '<input type="file" dj-upload="files" id="own" accept=".gif" multiple>',
    )
    told = await run(
        page,
        """
        const say = () => ["files", "own"].map((id) => {
          const {accept, multiple} = document.getElementById(id);
          return [accept, multiple];
        });
        const told = [];
        for (const slot of [{accept: ".png", max_entries: 5}, {accept: ".pdf", max_entries: 1},
                            {accept: "", max_entries: 2}]) {
          page.connect(slot);
          await drawn();
          told.push(say());
        }
        return told;
        """,
    )
    own = [".gif", True]
    assert told == [[[".png", True], own], [[".pdf", False], own], [["", True], own]]


async def test_inside_a_shadow_root(page, letter):
    await open_markup(page, '<div id="host"></div>')
    await page.evaluate(
        """(markup) => {
          const root = document.getElementById("host").attachShadow({mode: "open"});
          root.innerHTML = markup;
          root.addEventListener("submit", (event) => {
            event.preventDefault();
            window.submitted = true;
          });
        }""",
        GUIDE,
    )
    await run(page, "await drawn(); await drawn();")
    assert await page.get_attribute("input[dj-upload]", "multiple") is not None
    await page.set_input_files("input[dj-upload]", letter)
    await run(page, "await socket.wait('upload_register'); await drawn();")
    assert await page.inner_text(".upload-name") == "letter.txt"
    await page.click("text=Save")
    await run(page, "await drawn();")
    assert not await page.evaluate("window.submitted")
    assert await page.inner_text(".upload-note") == "Saves when 1 file is there."
    await run(page, "page.progress(page.all[0], 'complete', 100); await drawn(); await drawn();")
    assert await page.evaluate("window.submitted")
    await page.click("[aria-label='Remove letter.txt']")
    await page.wait_for_selector(".upload-card", state="detached")
    zone = await page.query_selector("[dj-upload-drop]")
    for kind in ("dragEnter", "dragOver", "drop"):
        await drag(page, zone, kind, [letter])
    await page.wait_for_selector(".upload-card")


async def test_a_shadow_root_that_came_without_a_word(page, letter):
    await open_markup(page, '<div id="host" style="height: 5rem"></div>')
    await run(page, "await drawn();")
    await page.evaluate(
        """() => {
          const root = document.getElementById("host").attachShadow({mode: "open"});
          root.innerHTML = '<input type="file" dj-upload="files">';
        }"""
    )
    await page.focus("input[dj-upload]")
    await page.set_input_files("input[dj-upload]", letter)
    await run(page, "await socket.wait('upload_register');")


async def test_a_named_input_does_not_post_its_files_again(page, letter):
    await open_markup(
        page,
        PROGRESS.replace('id="files"', 'id="files" name="files"')
        + '<input type="file" name="files" form="form" id="other">'
        '<input name="title" value="Letter" form="form">',
    )
    await page.set_input_files("#other", letter)
    told = await run(
        page,
        """
        page.uploads.add("files", [textFile(20, "sent.txt")]);
        await drawn();
        const form = document.getElementById("form");
        const held = document.getElementById("files").files.length;
        const posted = Array.from(new FormData(form));
        return [held, posted.map(([name, value]) => [name, value.name ?? value])];
        """,
    )
    assert told == [1, [["title", "Letter"], ["files", "letter.txt"]]]


PASTE = """
const paste = (target, files, text) => {
  const data = new DataTransfer();
  for (const file of files) data.items.add(file);
  if (text) data.setData("text/plain", text);
  const event = new ClipboardEvent("paste", {
    bubbles: true, cancelable: true, composed: true, clipboardData: data,
  });
  target.dispatchEvent(event);
  return [event.defaultPrevented, page.all.length];
};
"""


async def test_pasted_files_go_to_the_slot_of_the_page(page):
    markup = GUIDE + '<textarea id="text"></textarea><p id="editor" contenteditable>Text</p>'
    await open_markup(page, markup)
    told = await run(
        page,
        PASTE
        + """
        await drawn();
        return [
          paste(document.body, [], "text"),
          paste(document.getElementById("text"), [textFile()], "a table"),
          paste(document.getElementById("editor"), [textFile()]),
          paste(document.getElementById("text"), [textFile()]),
          paste(document.querySelector("[dj-upload-drop]"), [textFile(), textFile()]),
        ];
        """,
    )
    assert told == [[False, 0], [False, 0], [False, 0], [True, 1], [True, 3]]


async def test_with_two_slots_a_paste_needs_a_place(page):
    await open_markup(page, GUIDE + '<input type="file" dj-upload="others">')
    told = await run(
        page,
        PASTE
        + """
        await drawn();
        return [paste(document.body, [textFile()]), paste(document.forms[0], [textFile()])];
        """,
    )
    assert told == [[False, 0], [True, 1]]


async def test_litter_is_left_out_of_folders(page):
    await show(page, "empty", PROGRESS)
    names = await run(
        page,
        """
        const {chosenFiles} = await import("/static/djust_uploads/page/choosing.js");
        const at = (relativePath) => {
          return Object.assign(textFile(1, relativePath.split("/").at(-1)), {relativePath});
        };
        const paths = ["trip/a.jpg", "trip/.DS_Store", "trip/Thumbs.db", "trip/desktop.ini",
                       "trip/._a.jpg", "__MACOSX/trip/a.jpg", "trip/.hidden", "trip/.localized"];
        return chosenFiles([...paths.map(at), textFile(1, ".DS_Store")]).map(({name}) => name);
        """,
    )
    assert names == ["a.jpg", ".hidden", ".DS_Store"]


async def test_a_picked_folder(page, tmp_path):
    (tmp_path / "trip" / "day").mkdir(parents=True)
    (tmp_path / "trip" / "day" / "a.txt").write_text("a")
    (tmp_path / "trip" / ".DS_Store").write_text("litter")
    await open_markup(page, PROGRESS.replace('id="files"', 'id="files" webkitdirectory'))
    await run(page, "await drawn();")
    await page.set_input_files("#files", tmp_path / "trip")
    sent = await run(
        page,
        """
        await socket.wait("upload_register");
        await drawn();
        return socket.of("upload_register").map(({client_relative_path}) => client_relative_path);
        """,
    )
    assert sent == ["trip/day/a.txt"]


async def test_the_same_file_twice_is_said(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.uploads.add("files", [textFile(20), textFile(20, "other.txt")]);
        page.uploads.add("files", [textFile(20)]);
        await drawn();
        """,
    )
    twice = await page.locator(".upload-twice").all_inner_texts()
    assert twice == ["", "", "This file is here twice."]
    await run(page, "page.uploads.cancel(page.all[0].ref); await drawn();")
    assert await page.locator(".upload-twice").all_inner_texts() == ["", ""]


async def test_after_a_reload_the_page_asks_for_the_file(page):
    await show(page, "empty", PROGRESS)
    await run(page, "await page.begin(textFile(100, 'film.mp4'), {limit: 60}); await drawn();")
    await page.reload()
    await run(page, "")
    assert await page.inner_text(".upload-missing") == "Choose film.mp4 again to go on.\n100 bytes"
    assert await page.eval_on_selector("#files", "input => input.files.length") == 0
    async with page.expect_file_chooser():
        await page.click("[aria-label='Choose film.mp4 again']")
    # It is there after the next reload, too, and goes when the file is there.
    await page.reload()
    await run(page, "")
    await page.wait_for_selector(".upload-missing")
    told = await run(
        page,
        """
        page.uploads.add("files", [textFile(100, "film.mp4")]);
        await drawn();
        return [document.querySelectorAll(".upload-missing").length,
                socket.sent.map(({type}) => type)];
        """,
    )
    assert told == [0, ["upload_resume"]]


async def test_who_does_not_want_to_go_on_says_so(page):
    await show(page, "empty", PROGRESS)
    await run(page, "await page.begin(textFile(100, 'film.mp4'), {limit: 60}); await drawn();")
    await page.reload()
    await run(page, "await drawn();")
    await page.focus("[aria-label='Remove film.mp4']")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".upload-missing", state="detached")
    assert await page.evaluate("document.activeElement.id") == "files"
    told = await run(
        page,
        """
        const [{ref}] = await socket.wait("upload_resume");
        page.resumed({ref}, "resumed", {bytes_received: 60, progress: 60});
        return socket.of("cancel").map((cancel) => cancel.ref === ref);
        """,
    )
    assert told == [True]


async def test_a_warning_before_leaving_what_cannot_resume(page):
    await show(page, "empty", PROGRESS)
    told = await run(
        page,
        """
        const warns = () => {
          const event = new Event("beforeunload", {cancelable: true});
          dispatchEvent(event);
          return event.defaultPrevented;
        };
        const told = [warns()];
        const upload = await page.begin(textFile(100), {limit: 60});
        told.push(warns());
        const other = await page.begin(textFile(200), {limit: 90, resumable: false});
        told.push(warns());
        page.progress(other, "complete", 100);
        told.push(warns());
        return told;
        """,
    )
    assert told == [False, False, True, False]


async def test_thousands_of_files_are_drawn_as_they_are_seen(page):
    await show(page, "empty", PROGRESS)
    told = await run(
        page,
        """
        page.connect({max_entries: 3000, resumable: false});
        const sentences = [];
        const region = document.querySelector("[role=status]");
        new MutationObserver(() => sentences.push(region.textContent))
          .observe(region, {childList: true});
        page.uploads.add("files", Array.from({length: 2000}, (_, at) => textFile(1, `${at}.txt`)));
        await drawn(); await drawn(); await drawn();
        const cards = document.querySelectorAll(".upload-card").length;
        const drawnCards = document.querySelectorAll(".upload-name").length;
        for (const upload of page.all) page.progress(upload, "complete", 100);
        await drawn(); await drawn();
        const complete = document.querySelectorAll("[data-status=complete]").length;
        return {cards, few: drawnCards < 200, complete, sentences,
                total: document.querySelector(".upload-total-text").textContent};
        """,
    )
    assert told == {
        "cards": 2000,
        "few": True,
        "complete": 2000,
        "sentences": ["2,000 files are uploaded."],
        "total": "2,000 files · 2 kB",
    }
    await page.locator(".upload-card").nth(1500).scroll_into_view_if_needed()
    await page.wait_for_selector("text=1500.txt")


async def test_what_the_browser_cannot_show_has_its_icon(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        page.uploads.add("files", [new File(["no picture"], "photo.png", {type: "image/png"})]);
        await drawn();
        """,
    )
    await page.wait_for_selector("img.upload-preview-image", state="detached")
    assert await page.locator(".upload-thumbnail svg").count() == 1


async def test_a_click_on_the_document_is_nobodys_press(page):
    await open_markup(page, '<button dj-click="save">Save</button>')
    calls = await run(
        page,
        """
        const {Socket} = await import("/static/djust_uploads/doors/socket.js");
        const calls = [];
        const connection = Object.assign(new EventTarget(), {
          start() {},
          sendEvent: async (name) => calls.push(name),
        });
        new Socket(connection).start();
        document.dispatchEvent(new Event("click"));
        document.querySelector("button").click();
        return calls;
        """,
    )
    assert calls == ["save"]
