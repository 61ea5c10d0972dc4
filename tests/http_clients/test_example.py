"""The example with Uppy's Dashboard, in Chromium: into S3, and into files of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import async_playwright

from tests.browser.chromium import launch
from tests.support import npm
from tests.support.servers import ROOT, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    directory = tmp_path_factory.mktemp("photos")
    paths = [directory / f"{color}.png" for color in ("firebrick", "seagreen", "steelblue")]
    for path in paths:
        image = Image.effect_noise((640, 480), 60).convert("RGB")
        image.paste(path.stem, (100, 100, 540, 380))
        image.save(path)
    return paths


@pytest.mark.parametrize("sink", ["s3", "default"])
async def test_the_dashboard(browser, tmp_path, photos, moto_store, sink):
    environ = {
        "NODE_MODULES": str(npm.modules()),
        "MEDIA_DIRECTORY": str(tmp_path / "media"),
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    if sink == "s3":
        environ["DEMO_S3_ENDPOINT"] = moto_store.endpoint_url
        moto_store.client().create_bucket(Bucket="gallery")
    example = ROOT / "examples" / "http_site"
    with serve("site_http.asgi:application", tmp_path / "up", cwd=example, **environ) as server:
        page = await browser.new_page()
        complaints = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(server.http("/gallery/"))
        await page.locator(".uppy-Dashboard-input").first.set_input_files(photos)
        await page.click(".uppy-StatusBar-actionBtn--upload")
        await page.wait_for_selector(".uppy-StatusBar.is-complete")
        await page.wait_for_selector(":nth-match(.gallery img, 3)")
        await page.wait_for_function(
            "[...document.querySelectorAll('.gallery img')].every(i => i.naturalWidth === 640)"
        )
        places = await page.locator(".where").all_inner_texts()
        where = "in the bucket" if sink == "s3" else "in the default storage"
        assert all(place.endswith(where) for place in places)
        if directory := os.environ.get("SCREENSHOTS"):
            await page.screenshot(path=Path(directory) / f"http-{sink}.png", full_page=True)
        assert complaints == []
        assert server.temporary_files() == []
        await page.context.close()
