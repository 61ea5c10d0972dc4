"""GCSSink through a real socket."""

from __future__ import annotations

import hashlib
import os

import pytest

from djust_uploads.testing import UploadFailed
from tests.support.buckets import MIB, consumed, eventually, page_of, site
from tests.support.gcs_uploads import PART
from tests.support.servers import wait_until


def site_of(directory, store):
    options = {
        "bucket": "media",
        "chunk_size": PART,
        "upload_to": "in/",
        "predefined_acl": "publicRead",
    }
    return site(directory, "GCSSink", options, STORAGE_EMULATOR_HOST=store.url)


async def test_through_a_socket(store, tmp_path):
    async with site_of(tmp_path, store) as server:
        async with page_of(server) as page:
            for size in (0, 1, PART - 1, PART, 5 * MIB + 3):
                data = os.urandom(size)
                ref = await page.upload("files", "data.bin", data, "application/octet-stream")
                payload = await consumed(page)
                assert payload["ref"] == ref and payload["key"].startswith("in/")
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                key = payload["key"]
                await eventually(
                    lambda key=key: not store.stat(key)["metadata"].get("djust-upload-unconsumed")
                )
                assert store.read(key) == data
            # Complete, but never consumed.
            await page.upload("files", "data.bin", b"content")
        await eventually(lambda: len(store.keys()) == 5)


async def test_an_async_handler_reads_it_and_gives_its_url(store, tmp_path):
    async with site_of(tmp_path, store) as server, page_of(server) as page:
        await page.upload("files", "data.bin", b"content")
        payload = await consumed(page, "report_async")
        assert payload["size"] == 7
        assert payload["url"].startswith(f"{store.url}/media/in/")


async def test_a_refused_file_is_not_one_request(broken, tmp_path):
    async with site_of(tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="content_mismatch"):
            await page.upload("png", "cat.png", b"MZ" + os.urandom(100_000), "image/png")
        assert broken.requests == []


@pytest.mark.parametrize("how", ["cancel", "disconnect", "complete too early"])
async def test_an_upload_that_ends_early_leaves_nothing(broken, tmp_path, how):
    async with site_of(tmp_path, broken) as server:
        async with page_of(server) as page:
            ref = await page.register("files", "data.bin", 4 * PART)
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
