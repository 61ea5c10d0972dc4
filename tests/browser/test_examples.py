"""The main job in a real browser, on the pages of the examples, in both hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.chromium import choose, drag, open_page, recorded, rows, sha256, until
from tests.browser.test_accessibility import findings
from tests.support.matrix import both_hosts
from tests.support.servers import ROOT, Server, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1_000_000


class Site:
    """An example project that runs."""

    def __init__(self, server: Server, media: Path) -> None:
        self.server = server
        self.media = media

    def stored(self) -> dict[str, str]:
        """What is in the site's media directory: name → SHA-256."""
        paths = [path for path in self.media.rglob("*") if path.is_file()]
        return {path.name: sha256(path) for path in paths}


@pytest.fixture(scope="module", params=["channels", "djust"])
def site(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    media = directory / "media"
    with serve(
        f"site_{request.param}.asgi:application",
        directory / "uploads",
        cwd=ROOT / "examples" / f"{request.param}_site",
        MEDIA_DIRECTORY=str(media),
        STATE_DIRECTORY=str(directory / "state"),
    ) as server:
        yield Site(server, media)


@pytest_asyncio.fixture(loop_scope="module")
async def page(request, browser, site):
    """A page of the site: the gallery, or the one that ``@pytest.mark.parametrize`` names."""
    page = await open_page(browser, site.server.http(getattr(request, "param", "/gallery/")))
    await page.wait_for_selector(":is([dj-upload][accept], [dj-upload][multiple])")
    yield page
    assert page.complaints == []
    await page.context.close()


def on(path):
    return pytest.mark.parametrize("page", [path], indirect=True)


async def consumed(page):
    await page.wait_for_selector("[data-upload-ref]", state="detached")


@both_hosts
async def test_chosen_files_are_previewed_uploaded_and_stored(page, site, files):
    photos = [files / f"photo{number}.png" for number in range(3)]
    await choose(page, *photos)
    await rows(page, "complete", 3)
    previews = await page.eval_on_selector_all(
        ".upload-preview-image", "images => images.map(i => [i.src.slice(0, 5), i.naturalWidth])"
    )
    assert previews == [["blob:", 640]] * 3
    names = await page.locator(".upload-preview-name").all_inner_texts()
    assert names == [photo.name for photo in photos]
    await page.click("text=Add to the gallery")
    await page.wait_for_selector(":nth-match(.gallery img, 3)")
    await consumed(page)
    stored = site.stored()
    assert [stored[photo.name] for photo in photos] == [sha256(photo) for photo in photos]
    assert await page.locator(".upload-preview-item").count() == 0
    assert (await recorded(page))["urls"] == 0, "every preview's object URL was revoked"
    assert site.server.temporary_files() == []


async def test_the_input_is_set_up_and_the_rows_are_accessible(page, files):
    assert await page.get_attribute("[dj-upload]", "accept") == ".jpg,.png,.webp,.gif"
    assert await page.get_attribute("[dj-upload]", "multiple") is not None
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    bar = page.locator("[dj-upload-progress] .upload-progress-bar[role=progressbar]")
    values = [
        await bar.get_attribute(f"aria-{name}") for name in ("valuemin", "valuemax", "valuenow")
    ]
    assert values == ["0", "100", "100"]
    assert await bar.get_attribute("aria-label") == "photo0.png"
    assert await page.inner_text(".upload-progress-name") == "photo0.png"
    assert await page.inner_text(".upload-progress-text") == "100%"


@both_hosts
@pytest.mark.parametrize("page", ["/gallery/", "/files/", "/profile/"], indirect=True)
async def test_axe_finds_nothing_on_the_page(page, site, files):
    found = {}
    for state in ("empty", "with a file"):
        if state == "with a file":
            await page.locator("[dj-upload]").first.set_input_files(files / "photo0.png")
            await page.wait_for_selector(".upload-card")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            for width in (1280, 360):
                await page.set_viewport_size({"width": width, "height": 720})
                found[state, scheme, width] = await findings(page)
    # A resumable upload would stay on the server, where the next tests look for their own.
    await page.click("[aria-label='Remove photo0.png']")
    await until(lambda: site.server.temporary_files() == [])
    assert {key: value for key, value in found.items() if value} == {}


async def test_progress_events_tell_ref_progress_status_and_slot(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    events = (await recorded(page))["progress"]
    assert {event["uploadName"] for event in events} == {"photos"}
    assert len({event["ref"] for event in events}) == 1
    assert [e["status"] for e in events if e["status"] == "complete"] == ["complete"]
    assert events[-1] == {**events[0], "progress": 100, "status": "complete"}


@both_hosts
async def test_dropped_files_are_uploaded(page, site, files):
    zone = await page.query_selector("[dj-upload-drop]")
    photo = files / "photo1.png"
    await drag(page, zone, "dragEnter", [photo])
    await drag(page, zone, "dragOver", [photo])
    await page.wait_for_selector("[dj-upload-drop].upload-dragover")
    await drag(page, zone, "drop", [photo])
    await rows(page, "complete")
    assert "upload-dragover" not in await zone.get_attribute("class")


async def test_leaving_the_drop_zone_takes_the_class_away(page, files):
    zone = await page.query_selector("[dj-upload-drop]")
    await drag(page, zone, "dragEnter", [files / "photo1.png"])
    await page.wait_for_selector("[dj-upload-drop].upload-dragover")
    await drag(page, await page.query_selector("h1"), "dragOver", [files / "photo1.png"])
    await page.wait_for_selector("[dj-upload-drop]:not(.upload-dragover)")


@both_hosts
async def test_what_the_slot_cannot_take_is_refused_before_a_byte_is_sent(page, files):
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    await page.reload()
    await page.wait_for_selector("[dj-upload][multiple]")
    await choose(page, files / "huge.png", files / "notes.txt")
    await rows(page, "error", 2)
    errors = await page.locator(".upload-error").all_inner_texts()
    assert errors == [
        "The file is too large: at most 10 MB are accepted.",
        "Files of this type are not accepted here. Accepted: .jpg, .png, .webp, .gif.",
    ]
    codes = [event["code"] for event in (await recorded(page))["errors"]]
    assert codes == ["file_too_large", "type_not_accepted"]
    assert not [frame for frame in sent if isinstance(frame, bytes) or "upload_register" in frame]


async def test_what_the_server_refuses_is_shown_and_its_sibling_arrives(page, files):
    await choose(page, files / "html.png", files / "photo0.png")
    await rows(page, "error")
    await rows(page, "complete")
    assert "can run scripts" in await page.inner_text("[data-status=error] .upload-error")
    await page.click("[data-status=error] .upload-cancel")
    await page.wait_for_selector("[data-status=error]", state="detached")


async def test_more_files_than_places(page, files):
    await choose(page, *[files / "photo0.png"] * 6)
    await rows(page, "complete", 5)
    await rows(page, "error")
    error = await page.inner_text(".upload-error:not(:empty)")
    assert error == "Only 5 files can be added here. Remove one to add another."


async def test_what_has_no_place_is_told_of_in_one_row(page, files):
    await choose(page, *[files / "photo0.png"] * 40)
    await rows(page, "complete", 5)
    error = await page.inner_text(".upload-error:not(:empty)")
    assert error.endswith("35 were left out.")
    assert await page.eval_on_selector("[dj-upload]", "input => input.files.length") == 5


async def test_removing_a_row_keeps_the_focus_on_the_rows(page, files):
    await choose(page, files / "photo0.png", files / "photo1.png")
    await rows(page, "complete", 2)
    await page.focus("[aria-label='Remove photo0.png']")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[aria-label='Remove photo0.png']", state="detached")
    assert await page.evaluate("document.activeElement.ariaLabel") == "Remove photo1.png"
    await page.keyboard.press("Enter")
    await consumed(page)
    assert await page.evaluate("document.activeElement.matches('[dj-upload]')")


async def test_a_file_that_was_taken_away_can_be_chosen_again(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    await page.click("[aria-label='Remove photo0.png']")
    await consumed(page)
    await choose(page, files / "photo0.png")
    await rows(page, "complete")


async def test_completion_is_announced(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    assert await page.inner_text("[role=status]") == "photo0.png is uploaded."


@both_hosts
async def test_rows_survive_a_patch_of_the_page(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    await page.click("text=Memory")
    await page.wait_for_selector(".sinks :is(.chosen, [aria-pressed=true]):text('Memory')")
    await rows(page, "complete")
    assert await page.locator(".upload-preview-image").count() == 1


@both_hosts
@on("/files/")
async def test_a_running_upload_can_be_cancelled(page, site, files):
    await choose(page, files / "big.bin", files / "notes.txt")
    await page.wait_for_selector("[data-status=uploading]")
    await page.click("[aria-label='Remove big.bin']")
    await page.wait_for_selector("text=big.bin", state="detached")
    await rows(page, "complete")
    await until(lambda: len(site.server.temporary_files()) == 1)
    statuses = [event["status"] for event in (await recorded(page))["progress"]]
    assert statuses.count("cancelled") == 1


@both_hosts
@on("/files/")
async def test_the_submit_waits_for_the_files(page, site, files):
    await choose(page, files / "big.bin", files / "empty.bin")
    await page.click("text=Store >> nth=-1")
    await page.wait_for_selector(":nth-match(.sha256, 2)", timeout=60_000)
    shown = await page.locator(".sha256").all_inner_texts()
    assert shown == [sha256(files / "big.bin"), sha256(files / "empty.bin")]


@on("/files/")
async def test_a_big_file_passes_through_and_stays_in_nobodys_memory(page, site, files):
    idle = site.server.memory()
    site.server.reset_peak()
    await choose(page, files / "big.bin")
    await page.wait_for_selector("[data-status=complete]", timeout=60_000)
    await page.click("text=Store >> nth=-1")
    await page.wait_for_selector(".sha256")
    assert await page.inner_text(".sha256") == sha256(files / "big.bin")
    # Frames have up to 8 MiB, and the first upload of a process loads what all of them need.
    assert site.server.peak_memory() - idle < 80 * MB
    # The browser read the file by slices, too.
    assert max((await recorded(page))["reads"]) <= 1024 * 1024


@on("/profile/")
async def test_without_auto_upload_the_files_go_with_the_form(page, site, files):
    await choose(page, files / "photo2.png")
    await rows(page, "chosen")
    assert (await recorded(page))["progress"] == []
    await page.click("button[type=submit]")
    await page.wait_for_selector("img.avatar[src]")
    await consumed(page)
    assert sha256(files / "photo2.png") in site.stored().values()


@on("/files/")
async def test_the_submit_waits_for_inputs_outside_the_form(page, site, files):
    await page.evaluate(
        """() => {
          const form = document.querySelector("form");
          const input = form.querySelector("input[dj-upload]");
          form.id = "outer";
          form.querySelector("[dj-upload-drop]").remove();
          input.setAttribute("form", "outer");
          document.body.append(input);
        }"""
    )
    await choose(page, files / "big.bin")
    await page.click("text=Store >> nth=-1")
    await page.wait_for_selector(".sha256", timeout=60_000)
    assert await page.inner_text(".sha256") == sha256(files / "big.bin")


@on("/files/")
async def test_the_submit_waits_for_what_is_added_meanwhile(page, site, files):
    await choose(page, files / "big.bin")
    await page.wait_for_selector("[data-status=uploading]")
    await page.click("text=Store >> nth=-1")
    await choose(page, files / "notes.txt")
    await page.click("[aria-label='Remove big.bin']")
    await page.wait_for_selector(".sha256", timeout=60_000)
    assert await page.inner_text(".sha256") == sha256(files / "notes.txt")


@on("/profile/")
async def test_a_dropped_file_counts_for_required(page, site, files):
    await page.eval_on_selector("[dj-upload]", "input => { input.required = true; }")
    zone = await page.query_selector("[dj-upload-drop]")
    for kind in ("dragEnter", "dragOver", "drop"):
        await drag(page, zone, kind, [files / "photo2.png"])
    await rows(page, "chosen")
    await page.click("button[type=submit]")
    await page.wait_for_selector("img.avatar[src]")


@on("/profile/")
async def test_a_choice_that_is_refused_leaves_the_good_one(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "chosen")
    await choose(page, files / "notes.txt")
    await rows(page, "error")
    assert await page.locator("[aria-label='Remove photo0.png']").count() == 1


@on("/profile/")
async def test_a_new_choice_replaces_the_old_one_in_a_slot_for_one(page, files):
    await choose(page, files / "photo0.png")
    await rows(page, "chosen")
    await choose(page, files / "photo1.png")
    await page.wait_for_selector("[aria-label='Remove photo1.png']")
    assert await page.locator("[data-upload-ref]").count() == 1


async def test_uploads_start_again_when_the_connection_comes_back(page, site, files):
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    ref = await page.get_attribute("[data-upload-ref]", "data-upload-ref")
    await page.evaluate("sockets.at(-1).close()")
    await page.wait_for_selector(f"[data-status=complete]:not([data-upload-ref='{ref}'])")
    await page.click("text=Add to the gallery")
    await page.wait_for_selector(".gallery img")
    await consumed(page)
    assert sha256(files / "photo0.png") in site.stored().values()


@both_hosts
async def test_leaving_the_page_leaves_nothing(browser, site, files):
    before = site.server.temporary_files()
    page = await open_page(browser, site.server.http("/gallery/"))
    await page.wait_for_selector("[dj-upload][multiple]")
    await choose(page, files / "photo0.png", files / "photo1.png")
    await rows(page, "complete", 2)
    assert len(site.server.temporary_files()) == len(before) + 2
    await page.context.close()
    await until(lambda: site.server.temporary_files() == before, seconds=1.0)
