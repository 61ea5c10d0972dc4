"""GCSSink through a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.gcs_uploads import (  # noqa: F401 (fixtures)
    MIB,
    PART,
    SMALL,
    broken,
    crc32c,
    gcs_emulator,
    gcs_proxy,
    info,
    no_pauses,
    sink_for,
    store,
    upload,
    write,
)
from tests.support.servers import serve, wait_until

# Through a socket


@contextlib.asynccontextmanager
async def site(directory, store):
    options = json.dumps(
        {
            "bucket": "media",
            "chunk_size": PART,
            "upload_to": "in/",
            "predefined_acl": "publicRead",
        }
    )
    environ = {"GCS_OPTIONS": options, "STORAGE_EMULATOR_HOST": store.url}
    server = serve("tests.sites.gcs:application", directory / "uploads", **environ)
    running = await asyncio.to_thread(server.__enter__)
    try:
        yield running
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def page_of(server):
    async with UploadClient(server.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def eventually(holds):
    """Wait for what happens in another process."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 (no event crosses processes)
            await asyncio.sleep(0.05)


async def test_through_a_socket(store, tmp_path):
    async with site(tmp_path, store) as server:
        async with page_of(server) as page:
            for size in (0, 1, PART - 1, PART, 5 * MIB + 3):
                data = os.urandom(size)
                ref = await page.upload("gcs", "data.bin", data, "application/octet-stream")
                await page.event("report", slot="gcs")
                message = await page.wait_for(type="push_event", event="consumed")
                page.messages.remove(message)
                payload = message["payload"]
                assert payload["ref"] == ref and payload["key"].startswith("in/")
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                key = payload["key"]
                await eventually(
                    lambda key=key: not store.stat(key)["metadata"].get("djust-upload-unconsumed")
                )
                assert store.read(key) == data
            # Complete, but never consumed.
            await page.upload("gcs", "data.bin", b"content")
        await eventually(lambda: len(store.keys()) == 5)


async def test_an_async_handler_reads_it_and_gives_its_url(store, tmp_path):
    async with site(tmp_path, store) as server, page_of(server) as page:
        await page.upload("gcs", "data.bin", b"content")
        await page.event("report_read", slot="gcs")
        message = await page.wait_for(type="push_event", event="consumed")
        assert message["payload"]["size"] == 7
        assert message["payload"]["url"].startswith(f"{store.url}/media/in/")


async def test_a_refused_file_is_not_one_request(broken, tmp_path):
    async with site(tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="content_mismatch"):
            await page.upload("png", "cat.png", b"MZ" + os.urandom(100_000), "image/png")
        assert broken.requests == []


@pytest.mark.parametrize("how", ["cancel", "disconnect", "complete too early"])
async def test_an_upload_that_ends_early_leaves_nothing(broken, tmp_path, how):
    async with site(tmp_path, broken) as server:
        async with page_of(server) as page:
            ref = await page.register("gcs", "data.bin", 4 * PART)
            await page.send_chunks(ref, os.urandom(3 * PART))
            assert await wait_until(lambda: broken.count("put"), 10)
            if how == "cancel":
                await page.cancel(ref)
            elif how == "complete too early":
                with pytest.raises(UploadFailed, match="size_mismatch"):
                    await page.complete(ref)
        await eventually(lambda: broken.count("cancel"))
        await eventually(lambda: not broken.live_sessions())
    assert broken.keys() == []
