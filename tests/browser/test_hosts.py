"""What a page may be like: with djust's script, with hashed static files, under a strict policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.chromium import choose, open_page, rows, sha256
from tests.support.matrix import again
from tests.support.servers import ROOT, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=["uvicorn", again("daphne")])
def live_site(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"live-{request.param}")
    with serve(
        "tests.sites.live:application",
        directory / "uploads",
        server=request.param,
        DJANGO_SETTINGS_MODULE="tests.live_settings",
        SESSION_DIRECTORY=str(directory),
    ) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def stock_page(browser, live_site):
    """A page with djust's script and without ours."""
    page = await open_page(browser, live_site.http("/stock/"))
    await page.wait_for_function("window.djust?.liveViewInstance?.viewMounted")
    yield page
    await page.context.close()


async def test_djusts_own_script_uploads_200_mb(stock_page, live_site, files):
    progress = "() => recorded.progress.some((e) => e.status === 'complete')"
    await choose(stock_page, files / "big.bin")
    await stock_page.wait_for_function(progress, timeout=60_000)
    await stock_page.click("text=Report")
    await stock_page.wait_for_selector("#report:has-text('big.bin')", timeout=10_000)
    assert sha256(files / "big.bin") in await stock_page.inner_text("#report")


async def test_our_script_takes_over_from_djusts_when_it_comes_late(stock_page, files):
    await stock_page.add_script_tag(url="/static/djust_uploads/djust.js", type="module")
    await stock_page.wait_for_selector("[dj-upload-progress]", state="attached")
    await choose(stock_page, files / "photo0.png")
    await rows(stock_page, "complete")
    await stock_page.click("text=Report")
    await stock_page.wait_for_selector("#report:has-text('photo0.png')")
    reported = await stock_page.inner_text("#report")
    assert reported.count("photo0.png") == 1, "uploaded by one of the two scripts, not by both"


async def test_the_tag_may_stand_at_the_end_of_the_page(browser, live_site, files):
    page = await open_page(browser, live_site.http("/ours/"))
    await page.wait_for_selector("[dj-upload][multiple]")
    await choose(page, files / "photo0.png", files / "photo1.png")
    await rows(page, "complete", 2)
    await page.click("text=Report asynchronously")
    await page.wait_for_selector("#report:has-text('photo1.png')")
    assert sha256(files / "photo0.png") in await page.inner_text("#report")
    await page.context.close()


@pytest.fixture(scope="module")
def manifest_site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("manifest")
    with serve(
        "tests.sites.manifest:application",
        directory / "uploads",
        cwd=ROOT / "examples" / "channels_site",
        MEDIA_DIRECTORY=str(directory / "media"),
        STATE_DIRECTORY=str(directory / "state"),
        STATIC_DIRECTORY=str(directory / "static"),
    ) as server:
        yield server


async def test_hashed_static_files_under_a_strict_policy(browser, manifest_site, files):
    """``ManifestStaticFilesStorage``, and a Content-Security-Policy of ``'self'``: what breaks
    either is an error in the console."""
    page = await open_page(browser, manifest_site.http("/gallery/"))
    await page.wait_for_selector("[dj-upload][multiple]")
    source = await page.get_attribute("script[data-upload-socket]", "src")
    assert Path(source).name != "channels.js", "the entry has its hashed name"
    await choose(page, files / "photo0.png")
    await rows(page, "complete")
    width = await page.eval_on_selector(".upload-preview-image", "image => image.naturalWidth")
    assert width == 640
    await page.click("text=Add to the gallery")
    await page.wait_for_selector(".gallery img")
    assert page.complaints == []
    await page.context.close()


async def test_frames_are_those_that_the_server_reads(stock_page):
    vectors = json.loads((ROOT / "tests/vectors/wire.json").read_text())["valid"]
    built = await stock_page.evaluate(
        """async (vectors) => {
          const {chunkFrame, completeFrame, cancelFrame} =
            await import("/static/djust_uploads/wire/frames.js");
          const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
          const hex = (frame) => Array.from(new Uint8Array(frame),
            (b) => b.toString(16).padStart(2, "0")).join("");
          const build = {
            chunk: ({ref, index, data}) => chunkFrame(ref, index, bytes(data)),
            complete: ({ref}) => completeFrame(ref),
            cancel: ({ref}) => cancelFrame(ref),
          };
          return vectors.map((vector) => hex(build[vector.type](vector)));
        }""",
        vectors,
    )
    assert built == [vector["hex"] for vector in vectors]
