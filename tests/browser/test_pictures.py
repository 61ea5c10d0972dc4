"""Thumbnails, and pictures that are made smaller before they are sent."""

from __future__ import annotations

import io

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Route

from tests.browser import fake_server
from tests.browser.fake_server import ORIGIN, run
from tests.browser.states import GUIDE, PROGRESS, document, show

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Tags of EXIF: https://exiftool.org/TagNames/EXIF.html
ORIENTATION, GPS = 0x0112, 0x8825

#: Counts what is decoded, and to what size.
BITMAPS = """
window.bitmaps = [];
const {createImageBitmap} = window;
window.createImageBitmap = async (source, options) => {
  const bitmap = await createImageBitmap(source, options);
  bitmaps.push([bitmap.width, bitmap.height]);
  return bitmap;
};
"""


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser):
    async with fake_server.new_context(browser) as context:
        page = await context.new_page()
        await page.add_init_script(BITMAPS)
        yield page


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A photo of a camera that was held upright: wide pixels, to be turned, with its place."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    image = Image.new("RGB", (3000, 2000), "seagreen")
    image.paste("firebrick", (0, 0, 1500, 2000))
    exif = image.getexif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 0.0)})
    image.save(path, exif=exif, quality=90)
    return path


async def test_thumbnails_are_small(page, photo):
    await show(page, "empty", PROGRESS)
    await page.set_input_files("#files", photo)
    await page.wait_for_function(
        "document.querySelector('.upload-preview-image:not([hidden])')?.naturalWidth < 1000"
    )
    size = "image => [image.naturalWidth, image.naturalHeight]"
    assert await page.eval_on_selector(".upload-preview-image", size) == [285, 427]
    assert await page.evaluate("bitmaps") == [[285, 427]], "decoded to that size, and upright"
    assert await page.evaluate("recorded.urls") == 1
    await run(page, "page.uploads.cancel(page.all[0].ref); await drawn();")
    assert await page.evaluate("recorded.urls") == 0, "and revoked with its card"


async def test_a_container_that_is_replaced_lets_go_of_its_pictures(page, photo):
    await show(page, "empty", GUIDE)
    await page.set_input_files("[dj-upload]", photo)
    for _ in range(2):
        await page.wait_for_selector(".upload-preview-image:not([hidden])")
        assert await page.evaluate("recorded.urls") == 1
        await page.evaluate(
            """() => {
              const container = document.querySelector("[dj-upload-preview]");
              container.replaceWith(container.cloneNode(false));
            }"""
        )
    await page.wait_for_selector(".upload-preview-image:not([hidden])")
    await page.evaluate("document.querySelector('form').remove()")
    await page.wait_for_function("recorded.urls == 0")


async def test_a_video_shows_its_first_frame(page):
    await show(page, "empty", PROGRESS)
    await run(
        page,
        """
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [320, 180];
        const context = canvas.getContext("2d");
        const recorder = new MediaRecorder(canvas.captureStream(10), {mimeType: "video/webm"});
        const data = new Promise((resolve) => { recorder.ondataavailable = resolve; });
        recorder.start();
        for (let at = 0; at < 5; at += 1) {
          context.fillStyle = at % 2 ? "green" : "teal";
          context.fillRect(0, 0, 320, 180);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        recorder.stop();
        const film = new File([(await data).data], "film.webm", {type: "video/webm"});
        page.uploads.add("files", [film]);
        await drawn();
        """,
    )
    await page.wait_for_selector(".upload-preview-image:not([hidden])")
    width = "image => image.naturalWidth"
    assert await page.eval_on_selector(".upload-preview-image", width) == 320


async def test_a_policy_without_blobs_has_pictures_all_the_same(page, photo):
    async def answer(route: Route) -> None:
        await route.fulfill(
            body=document(PROGRESS),
            content_type="text/html",
            headers={"Content-Security-Policy": "img-src 'self'"},
        )

    await page.route(f"{ORIGIN}/state/", answer)
    await page.goto(f"{ORIGIN}/state/")
    await run(page, "")
    await page.set_input_files("#files", photo)
    await page.wait_for_selector("canvas.upload-preview-image")
    height = "canvas => canvas.height"
    assert await page.eval_on_selector("canvas.upload-preview-image", height) == 320


SENT = """
page.connect({image_max_size: 1000, chunk_size: 1_000_000, max_file_size: 300_000});
await drawn();
"""

BYTES = """
await page.socket.wait("upload_register");
const [{client_name, client_size}] = page.socket.of("upload_register");
const bytes = new Uint8Array(await page.all[0].file.arrayBuffer());
return {client_name, client_size, bytes: Array.from(bytes), refused: page.all[0].error};
"""


async def test_a_picture_is_made_smaller_and_keeps_no_place(page, photo):
    await show(page, "empty", PROGRESS)
    await run(page, SENT)
    await page.set_input_files("#files", photo)
    sent = await run(page, BYTES)
    assert sent["client_name"] == "photo.jpg"
    assert sent["client_size"] == len(sent["bytes"]) < photo.stat().st_size
    image = Image.open(io.BytesIO(bytes(sent["bytes"])))
    assert image.format == "JPEG"
    assert image.size == (667, 1000), "as it is looked at"
    # What was on the left of the pixels is at the top.
    assert image.getpixel((333, 100))[0] > 120 > image.getpixel((333, 900))[0]
    assert dict(image.getexif()) == {}


async def test_what_is_no_picture_for_the_browser_goes_as_it_is(page, tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no picture")
    await show(page, "empty", PROGRESS)
    await run(page, SENT)
    await page.set_input_files("#files", path)
    assert bytes((await run(page, BYTES))["bytes"]) == b"no picture"


async def test_a_picture_that_was_deleted_does_not_hold_up_the_others(page, tmp_path):
    await show(page, "empty", PROGRESS + '<input type="file" multiple id="own">')
    await run(page, SENT)
    paths = [tmp_path / name for name in ("gone.png", "there.png")]
    for path in paths:
        Image.new("RGB", (1500, 1000)).save(path)
    await page.set_input_files("#own", paths)
    await page.evaluate(
        """async () => {
          const {sizeOf} = await import("/static/djust_uploads/uploads/sizes.js");
          for (const file of document.querySelector("#own").files) sizeOf(file);
        }"""
    )
    paths[0].unlink()
    told = await run(
        page,
        """
        page.uploads.add("files", document.querySelector("#own").files);
        const [gone] = await page.socket.wait("upload_register", 2);
        page.socket.hear({
          type: "upload_registered", ref: gone.ref, upload_name: "files", offset: 0, limit: 1e6,
          chunk_size: 1_000_000, resumable: true,
        });
        await page.socket.wait("cancel");
        await drawn();
        return page.all.map(({code, status}) => code ?? status);
        """,
    )
    assert told == ["unreadable", "uploading"]


async def test_an_animation_is_not_lost(page, tmp_path):
    path = tmp_path / "moving.png"
    frames = [Image.new("RGB", (1500, 10), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    await show(page, "empty", PROGRESS)
    await run(page, SENT)
    await page.set_input_files("#files", path)
    assert bytes((await run(page, BYTES))["bytes"]) == path.read_bytes()


async def test_a_form_waits_while_a_picture_is_made_smaller(page, photo):
    await show(page, "empty", PROGRESS)
    await run(page, SENT)
    await page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
    await page.set_input_files("#files", photo)
    told = await run(
        page,
        """
        const [upload] = page.all;
        document.querySelector("form").requestSubmit();
        await drawn();
        return [document.querySelector(".upload-note").textContent, upload.error];
        """,
    )
    assert told == ["Saves when 1 file is there.", None]


async def test_a_picture_that_stays_too_large_is_refused(page, photo):
    await show(page, "empty", PROGRESS)
    await run(page, "page.connect({image_max_size: 1000, max_file_size: 100}); await drawn();")
    await page.set_input_files("#files", photo)
    await page.wait_for_selector("[data-status=error]")
    assert "at most 100 bytes" in await page.inner_text(".upload-error")
