from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import async_playwright

from tests.browser import fake_server
from tests.browser.chromium import launch, trace

MB = 1_000_000
BIG = 200 * MB


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def fake_context(browser):
    async with fake_server.new_context(browser) as context:
        await trace(context)
        yield context


@pytest_asyncio.fixture(loop_scope="module")
async def empty_page(fake_context):
    """A page whose server is the test. It must not raise an error."""
    page = await fake_context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture
def page(empty_page):
    """The page of a test that fills it with markup. Files with a server have one of their own."""
    return empty_page


@pytest_asyncio.fixture(loop_scope="module")
async def fake_page(empty_page):
    """A page whose server is the test, with our script."""
    await empty_page.goto(f"{fake_server.ORIGIN}/form/")
    return empty_page


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    for number, color in enumerate(["firebrick", "seagreen", "steelblue"]):
        image = Image.effect_noise((640, 480), 60).convert("RGB")
        image.paste(color, (100, 100, 540, 380))
        image.save(directory / f"photo{number}.png")
    (directory / "notes.txt").write_text("only text")
    (directory / "html.png").write_text("<!doctype html><script>alert(1)</script>")
    (directory / "empty.bin").write_bytes(b"")
    Image.new("RGB", (3000, 2000)).save(directory / "huge.png", compress_level=0)
    block = os.urandom(MB)
    with (directory / "big.bin").open("wb") as big:
        for number in range(BIG // MB):
            big.write(block[number:] + block[:number])
    return directory
