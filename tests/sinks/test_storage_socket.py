"""Uploads into a Django storage through a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from djust_uploads.testing import UploadClient
from tests.support.servers import serve


@pytest.fixture(scope="module")
def media_root(tmp_path_factory):
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def site(media_root, tmp_path_factory):
    uploads = tmp_path_factory.mktemp("site") / "uploads"
    with serve(
        "tests.sites.stored:application", uploads, MEDIA_DIRECTORY=str(media_root)
    ) as server:
        yield server


@pytest.fixture
async def page(site):
    async with UploadClient(site.ws("/ws/")) as client:
        await client.mounted()
        yield client


@pytest.fixture
def files(media_root):
    return lambda: {str(p.relative_to(media_root)) for p in media_root.rglob("*") if p.is_file()}


async def until(condition):
    """The server works in the background when a connection is gone."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (a directory has no events)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("slot", ["media", "spooled"])
@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 1])
async def test_a_consumed_file_stays_and_has_its_bytes(page, files, media_root, slot, size):
    before = files()
    data = os.urandom(size)
    await page.upload(slot, f"{size}.bin", data, "application/octet-stream")
    await page.event("report", slot=slot)
    payload = (await page.wait_for(type="push_event", event="consumed"))["payload"]
    assert payload["sha256"] == hashlib.sha256(data).hexdigest()
    assert payload["url"].endswith(payload["key"])
    await until(lambda: files() - before == {payload["key"]})
    assert (media_root / payload["key"]).read_bytes() == data


async def test_what_is_never_consumed_is_deleted(site, files):
    before = files()
    async with UploadClient(site.ws("/ws/")) as page:
        await page.mounted()
        await page.upload("media", "cat.jpg.bin", os.urandom(100), "application/octet-stream")
        ref = await page.register("media", "dog.bin", 4_000_000, "application/octet-stream")
        await page.send_chunks(ref, os.urandom(3_000_000))
        # Two files and a mark for each.
        await until(lambda: len(files() - before) == 4)
    await until(lambda: files() == before)


async def test_a_handler_may_delete_what_it_consumes(page, files):
    before = files()
    await page.upload("spooled", "cat.bin", os.urandom(100), "application/octet-stream")
    await page.event("delete", slot="spooled")
    await until(lambda: files() == before)


async def test_two_files_of_one_name_are_two_files(page, files):
    before = files()
    for content in (b"\x00one", b"\x00two"):
        await page.upload("spooled", "same.bin", content, "application/octet-stream")
    await page.event("report", slot="spooled")
    await until(lambda: len(files() - before) == 2)
