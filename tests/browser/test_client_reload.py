"""Uploads of a page that is loaded again: what it remembers, and files that were dropped."""

from __future__ import annotations

import pytest

from tests.browser.chromium import drag
from tests.browser.fake_server import ORIGIN, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def statuses(page):
    events = await page.evaluate("recorded.progress")
    return [(event["status"], event["progress"]) for event in events]


# The page is loaded again


BEGUN = """
const upload = await page.begin(textFile(100), {limit: 60});
return upload.ref;
"""


async def test_the_same_file_chosen_again_goes_on(fake_page):
    ref = await run(fake_page, BEGUN)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const early = socket.sent.length;
        const [upload] = page.uploads.add("files", [textFile(100)]);
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await socket.wait("complete");
        return [early, socket.sent.map(({type}) => type), upload.ref];
        """,
    )
    assert told == [0, ["upload_resume", *["chunk"] * 4, "complete"], ref]
    assert (await statuses(fake_page))[0] == ("uploading", 60)


@pytest.mark.parametrize(
    "file",
    [
        'textFile(101, "notes.txt")',
        'textFile(100, "other.txt")',
        'textFile(100, "notes.txt", 1700000000001)',
        'Object.assign(textFile(100), {relativePath: "folder/notes.txt"})',
    ],
    ids=["size", "name", "modified", "folder"],
)
async def test_another_file_is_another_upload(fake_page, file):
    ref = await run(fake_page, BEGUN)
    await fake_page.reload()
    told = await run(
        fake_page,
        f"""
        const [upload] = page.uploads.add("files", [{file}]);
        return [socket.sent.map(({{type}}) => type), upload.ref];
        """,
    )
    assert told[0] == ["upload_register"]
    assert told[1] != ref


async def test_on_another_page_it_is_another_upload(fake_page):
    await run(fake_page, BEGUN)
    await fake_page.goto(f"{ORIGIN}/other/")
    sent = await run(fake_page, "page.uploads.add('files', [textFile(100)]); return socket.sent;")
    assert [message["type"] for message in sent] == ["upload_register"]


async def test_where_the_slot_is_not_resumable_records_mean_nothing(fake_page):
    await run(fake_page, BEGUN)
    await fake_page.reload()
    sent = await run(
        fake_page,
        """
        const plain = page.connect({resumable: false});
        page.uploads.add("files", [textFile(100)]);
        return plain.sent;
        """,
    )
    assert [message["type"] for message in sent] == ["upload_register"]


async def test_one_file_twice_is_two_uploads(fake_page):
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 30});
        page.uploads.add("files", [textFile(100)]);
        return [resumes(socket), new Set(socket.of("upload_register").map(({ref}) => ref)).size];
        """,
    )
    assert told == [[0], 2]


async def test_records_go_when_they_are_of_no_use(fake_page):
    told = await run(
        fake_page,
        """
        const counts = [];
        const count = () => counts.push(records().length);
        const consumed = await page.begin(textFile(20, "a.txt"), {limit: 20});
        page.progress(consumed, "complete", 100);
        count();
        socket.hear({type: "upload_consumed", upload_name: "files", refs: [consumed.ref]});
        count();
        const cancelled = await page.begin(textFile(100, "b.txt"), {limit: 30});
        count();
        page.uploads.cancel(cancelled.ref);
        page.progress(cancelled, "cancelled", 0);
        count();
        const failed = await page.begin(textFile(100, "c.txt"), {limit: 30});
        count();
        page.fail(failed, "storage_full", "There is no room.");
        count();
        return counts;
        """,
    )
    assert told == [1, 0, 1, 0, 1, 0]


async def test_records_are_bounded_and_expire(fake_page):
    await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        const [record] = records();
        const day = 24 * 60 * 60 * 1000;
        const keep = (ref, at) => {
          localStorage["djust_uploads:" + ref] = JSON.stringify({...record, ref, at});
        };
        keep("expired", Date.now() - day - 1);
        for (let at = 0; at < 1200; at++) keep(`old-${at}`, record.at - day / 2 + at);
        localStorage["djust_uploads:broken"] = "{";
        localStorage.other = "not ours";
        """,
    )
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const refs = Object.keys(localStorage);
        return [refs.length, localStorage.other, refs.includes("djust_uploads:expired"),
                refs.includes("djust_uploads:old-0"), refs.includes("djust_uploads:old-1199")];
        """,
    )
    assert told == [1001, "not ours", False, False, True]


async def test_where_storage_is_forbidden(fake_context, fake_page):
    await fake_context.add_init_script(
        'Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no"); }});'
    )
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const upload = await page.begin(textFile(100), {limit: 60});
        socket.lose();
        page.uploads.cancel(upload.ref);
        const second = page.connect();
        page.resumed(upload, "resumed", {bytes_received: 60});
        return second.of("cancel").length;
        """,
    )
    assert told == 1


COMPLETE = """
const upload = await page.begin(textFile(100, "photo.png"), {limit: 100});
page.progress(upload, "complete", 100);
return upload.ref;
"""


async def test_what_was_complete_comes_back_complete(fake_page):
    ref = await run(fake_page, COMPLETE)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const [upload] = page.all;
        await drawn();
        const waiting = [upload.ref, upload.status, document.forms[0].checkValidity()];
        page.resumed(upload, "resumed", {bytes_received: 100, progress: 100});
        page.progress(upload, "complete", 100);
        await drawn();
        const text = (selector) => document.querySelector(selector).textContent;
        return {
          waiting, status: upload.status, valid: document.forms[0].checkValidity(),
          shown: [text(".upload-progress-name"), text(".upload-preview-size")],
          image: document.querySelector("img") !== null,
          held: Array.from(document.querySelector("input").files, ({name}) => name),
          sent: socket.sent.map(({type}) => type), records: records().map(({status}) => status),
        };
        """,
    )
    assert told == {
        "waiting": [ref, "resuming", True],
        "status": "complete",
        "valid": True,
        "shown": ["photo.png", "100 bytes"],
        "image": False,
        "held": ["photo.png"],
        "sent": ["upload_resume", "complete"],
        "records": ["sent"],
    }


async def test_what_was_complete_can_be_taken_away_after_a_reload(fake_page):
    ref = await run(fake_page, COMPLETE)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const [upload] = page.all;
        page.resumed(upload, "resumed", {bytes_received: 100, progress: 100});
        page.progress(upload, "complete", 100);
        await drawn();
        document.querySelector(".upload-cancel").click();
        await drawn();
        return [socket.of("cancel").map(({ref}) => ref), page.all.length,
                document.querySelector("input").files.length];
        """,
    )
    assert told == [[ref], 0, 0]


async def test_what_was_complete_and_is_lost_is_not_shown(fake_page):
    await run(fake_page, COMPLETE)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        page.resumed(page.all[0], "not_found");
        await drawn();
        return [page.all.length, socket.of("upload_register").length, records().length,
                document.forms[0].checkValidity()];
        """,
    )
    assert told == [0, 0, 0, False]


async def test_it_comes_back_after_a_second_reload(fake_page):
    ref = await run(fake_page, COMPLETE)
    await fake_page.reload()
    await run(fake_page, "return page.all.length")
    await fake_page.reload()
    assert await run(fake_page, "return page.all.map(({ref}) => ref)") == [ref]


async def test_and_when_the_tab_returns_to_the_page(fake_page):
    ref = await run(fake_page, COMPLETE)
    await fake_page.goto(f"{ORIGIN}/other/")
    assert await run(fake_page, "return page.all.length") == 0
    await fake_page.goto(f"{ORIGIN}/form/")
    assert await run(fake_page, "return page.all.map(({ref}) => ref)") == [ref]


async def test_another_tab_takes_nothing_by_itself(fake_context, fake_page):
    await run(fake_page, COMPLETE)
    await run(fake_page, BEGUN)
    other = await fake_context.new_page()
    await other.goto(f"{ORIGIN}/form/")
    assert await run(other, "return [page.all.length, socket.sent]") == [0, []]
    # A choice there is the user's word for it; what is complete stays where it is.
    told = await run(
        other,
        """
        page.uploads.add("files", [textFile(100), textFile(100, "photo.png")]);
        return socket.sent.map(({type, client_name}) => [type, client_name]);
        """,
    )
    assert told == [["upload_resume", "notes.txt"], ["upload_register", "photo.png"]]


async def test_they_come_back_in_their_order(fake_page):
    refs = await run(
        fake_page,
        """
        const slow = await page.begin(textFile(10, "slow.txt"), {limit: 10});
        const fast = await page.begin(textFile(10, "fast.txt"), {limit: 10});
        page.progress(fast, "complete", 100);
        page.progress(slow, "complete", 100);
        return [slow.ref, fast.ref];
        """,
    )
    await fake_page.reload()
    asked = await run(fake_page, "return socket.of('upload_resume').map(({ref}) => ref)")
    assert asked == refs


async def test_what_was_not_all_sent_after_all_is_cancelled(fake_page):
    ref = await run(fake_page, COMPLETE)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        page.resumed(page.all[0], "resumed", {bytes_received: 60, progress: 60});
        return [page.all.length, socket.of("cancel").map(({ref}) => ref), records()[0].status];
        """,
    )
    assert told == [0, [ref], "cancelled"]


async def test_another_view_leaves_them_for_its_return(fake_page):
    ref = await run(fake_page, COMPLETE)
    told = await run(
        fake_page,
        """
        const slots = page.uploads.slots;
        page.uploads.setSlots({other: {...slots.files, name: "other"}});
        const away = page.all.length;
        page.uploads.setSlots(slots);
        await drawn();
        return [away, socket.of("cancel").length, page.all.map(({ref}) => ref)];
        """,
    )
    assert told == [0, 0, [ref]]


# Handles


async def dropped(page, path):
    zone = await page.query_selector("[dj-upload-drop]")
    for kind in ("dragEnter", "dragOver", "drop"):
        await drag(page, zone, kind, [path])


@pytest.fixture
def letters(tmp_path):
    path = tmp_path / "letters.txt"
    path.write_text("".join(chr(97 + at % 26) for at in range(100)))
    return path


ANSWER = """
await socket.wait("upload_register");
const [upload] = page.all;
socket.hear({type: "upload_registered", ref: upload.ref, offset: 0, limit: 60, chunk_size: 10,
             resumable: true});
await socket.wait("chunk", 6);
// Kept as soon as the database took it.
const open = indexedDB.open("djust_uploads");
await new Promise((resolve) => { open.onsuccess = resolve; });
for (let kept = 0; !kept; ) {
  const asked = open.result.transaction("handles").objectStore("handles").count();
  await new Promise((resolve) => { asked.onsuccess = resolve; });
  kept = asked.result;
}
open.result.close();
return upload.ref;
"""


async def test_a_dropped_file_goes_on_without_asking(fake_page, letters):
    await run(fake_page, "")
    await dropped(fake_page, letters)
    ref = await run(fake_page, ANSWER)
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        await socket.wait("upload_resume");
        const [upload] = page.all;
        page.resumed(upload, "resumed", {bytes_received: 60, progress: 60});
        await socket.wait("complete");
        return [upload.ref, socket.of("chunk").map(({text}) => text).join("")];
        """,
    )
    assert told == [ref, letters.read_text()[60:]]


async def test_a_dropped_file_that_changed_does_not(fake_page, letters):
    await run(fake_page, "")
    await dropped(fake_page, letters)
    await run(fake_page, ANSWER)
    letters.write_text("something else")
    await fake_page.reload()
    told = await run(
        fake_page,
        """
        const {heldFile} = await import("/static/djust_uploads/uploads/handles.js");
        await heldFile(records()[0].ref);   // asked after the page's own question
        await drawn();
        return [page.all.length, socket.sent];
        """,
    )
    assert told == [0, []]


async def test_handles_go_with_their_records(fake_page, letters):
    await run(fake_page, "")
    await dropped(fake_page, letters)
    await run(fake_page, ANSWER)
    told = await run(
        fake_page,
        """
        const [upload] = page.all;
        page.progress(upload, "error", 0, {code: "storage_full", error: "There is no room."});
        const {heldFile} = await import("/static/djust_uploads/uploads/handles.js");
        return await heldFile(upload.ref);   // after the page's own deletion
        """,
    )
    assert told is None
