"""Uploads into a bucket through a real socket of a real server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import urllib.request

import pytest

from djust_uploads.testing import UploadFailed
from tests.support.buckets import MIB, PART, consumed, eventually, page_of, site
from tests.support.faulty import faulty
from tests.support.s3_stores import empty


def site_of(kind, directory, store, environ=None, **options):
    options = {**kind.options_for(store), "upload_to": "in/", **options}
    return site(directory, kind.name, options, **(environ or {}))


async def test_through_a_socket(kind, store, tmp_path):
    environ = {"AWS_CA_BUNDLE": store.ca_bundle} if store.ca_bundle else {}
    async with site_of(kind, tmp_path, store, environ) as server:
        async with page_of(server) as page:
            for size in (0, 1, 64 * 1024 + 1, 2 * PART + 3):
                data = os.urandom(size)
                ref = await page.upload("files", "data.bin", data, "application/octet-stream")
                (key,) = kind.unconsumed(store)
                payload = await consumed(page)
                assert (payload["ref"], payload["key"]) == (ref, key)
                assert key.startswith("in/") and key in payload["url"]
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                await eventually(lambda: kind.unconsumed(store) == [])
                assert store.read(key) == data
            # Complete, but never consumed.
            await page.upload("files", "data.bin", b"content")
        await eventually(lambda: len(store.object_keys()) == 4)
        assert kind.unconsumed(store) == []


async def test_an_async_handler_reads_it_and_gives_its_url(kind, moto_store, tmp_path):
    empty(moto_store)
    async with site_of(kind, tmp_path, moto_store) as server, page_of(server) as page:
        await page.upload("files", "data.bin", b"content")
        payload = await consumed(page, "report_async")
        assert payload["size"] == 7

        def get():
            with urllib.request.urlopen(payload["url"]) as answer:
                return answer.read()

        assert await asyncio.to_thread(get) == b"content"


async def test_a_refused_file_is_not_one_request(kind, broken, tmp_path):
    async with site_of(kind, tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="content_mismatch"):
            await page.upload("png", "cat.png", b"MZ" + os.urandom(100_000), "image/png")
        assert broken.requests == []


async def test_the_page_is_not_told_what_the_store_says(kind, broken, tmp_path):
    broken.faults["PUT"] = ["AccessDenied"]
    async with site_of(kind, tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="storage_misconfigured") as caught:
            await page.upload("files", "data.bin", b"content")
    assert caught.value.message == "The file could not be stored. Please try again later."
    assert "Check the permissions of aws_access_key_id" in server.log.read_text()


@pytest.mark.parametrize(
    "how", ["cancel", "disconnect", "complete too early", "silence", "the server ends"]
)
async def test_an_upload_that_ends_early_leaves_nothing(kind, broken, moto_store, tmp_path, how):
    environ = {"IDLE_TIMEOUT": "0.5"} if how == "silence" else {}
    async with site_of(kind, tmp_path, broken, environ) as server:
        async with page_of(server) as page:
            ref = await page.register("files", "data.bin", 4 * PART)
            await page.send_chunks(ref, bytes(3 * PART))
            await broken.wait_for("UploadPart")
            if how == "cancel":
                await page.cancel(ref)
            elif how == "complete too early":
                with pytest.raises(UploadFailed, match="size_mismatch"):
                    await page.complete(ref)
            elif how == "silence":
                with pytest.raises(UploadFailed, match="expired"):
                    await page.ended(ref)
            elif how == "the server ends":
                server.process.terminate()
        await broken.wait_for("Abort")
        await eventually(lambda: not moto_store.uploads() and not broken.in_flight)
    assert moto_store.object_keys() == []


async def test_a_slow_store_does_not_fill_the_memory(kind, moto_store, tmp_path):
    empty(moto_store)
    options = {"part_size": 8 * MIB, "max_concurrency": 2}
    async with (
        faulty(moto_store.endpoint_url, rate=40 * MIB) as slow,
        site_of(kind, tmp_path, slow, **options) as server,
        page_of(server) as page,
    ):
        # The first upload makes libmagic and the SDK read their files.
        await page.upload("files", "first.bin", b"content")
        idle = server.memory()
        server.reset_peak()
        await page.upload("big", "big.bin", bytes(72 * MIB), chunk_size=256 * 1024)
        most = (2 + kind.parts_held) * 8 * MIB + 24 * MIB
        assert server.peak_memory() - idle < most
