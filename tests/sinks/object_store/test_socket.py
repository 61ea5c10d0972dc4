"""ObjectStoreSink through a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from pathlib import Path

import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.sinks.s3.test_sink import MIB, PART, eventually, stored
from tests.support.faulty import faulty
from tests.support.object_store_uploads import kept
from tests.support.s3_stores import empty
from tests.support.servers import serve

SLOT = "objects"


@contextlib.asynccontextmanager
async def site(directory, store, **options):
    """A site in a process of its own whose uploads go to the store."""
    options = {"url": "s3://media", "part_size": PART, **store.options, **options}
    backend = "djust_uploads.sinks.ObjectStoreSink"
    environ = {"SINKS": json.dumps({SLOT: {"BACKEND": backend, "OPTIONS": options}})}
    server = serve("tests.sites.stores:application", directory / "uploads", **environ)
    running = await asyncio.to_thread(server.__enter__)
    try:
        yield running
    finally:
        # In a thread: to end well, the site may need the proxy, which runs on this loop.
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def page_of(server):
    async with UploadClient(server.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def test_through_a_socket(store, tmp_path):
    options = {"upload_to": "in/"}
    if store.ca_bundle:
        certificate = Path(store.ca_bundle).read_text()
        options["client_options"] = {"root_certificate": certificate}
    async with site(tmp_path, store, **options) as server:
        async with page_of(server) as page:
            for count, size in enumerate((0, 1, 64 * 1024 + 1, 2 * PART + 3), 1):
                data = os.urandom(size)
                ref = await page.upload(SLOT, "data.bin", data, "application/octet-stream")
                assert len(kept(store)) == count - 1
                await page.event("report", slot=SLOT)
                message = await page.wait_for(type="push_event", event="consumed")
                page.messages.remove(message)
                payload = message["payload"]
                assert payload["ref"] == ref
                assert payload["key"].startswith("in/") and payload["key"] in payload["url"]
                assert payload["sha256"] == hashlib.sha256(data).hexdigest()
                await eventually(lambda key=payload["key"]: key in kept(store))
                assert stored(store, payload["key"]) == data
            # Complete, but never consumed.
            await page.upload(SLOT, "data.bin", b"content")
        await eventually(lambda: len(store.object_keys()) == len(kept(store)) == 4)


@pytest.mark.parametrize("how", ["cancel", "disconnect", "complete too early", "the server ends"])
async def test_an_upload_that_ends_early_leaves_nothing(broken, moto_store, tmp_path, how):
    async with site(tmp_path, broken) as server:
        async with page_of(server) as page:
            ref = await page.register(SLOT, "data.bin", 4 * PART)
            await page.send_chunks(ref, os.urandom(3 * PART))
            await broken.wait_for("UploadPart")
            if how == "cancel":
                await page.cancel(ref)
            elif how == "complete too early":
                with pytest.raises(UploadFailed, match="size_mismatch"):
                    await page.complete(ref)
            elif how == "the server ends":
                server.process.terminate()
        await broken.wait_for("Abort")
        await eventually(lambda: not moto_store.uploads() and not broken.in_flight)
    assert moto_store.object_keys() == []


async def test_what_the_store_says_stays_here(broken, moto_store, tmp_path):
    broken.faults["PUT"] = ["AccessDenied"]
    async with site(tmp_path, broken) as server, page_of(server) as page:
        with pytest.raises(UploadFailed, match="storage_misconfigured") as caught:
            await page.upload(SLOT, "data.bin", b"content")
    assert caught.value.message == "The file could not be stored. Please try again later."
    log = server.log.read_text()
    assert "Check the permissions of aws_access_key_id" in log


async def test_a_slow_store_does_not_fill_the_memory(moto_store, tmp_path):
    empty(moto_store)
    part_size, concurrency = 8 * MIB, 2
    async with faulty(moto_store.endpoint_url, rate=40 * MIB) as slow:
        options = {"part_size": part_size, "max_concurrency": concurrency}
        async with site(tmp_path, slow, **options) as server, page_of(server) as page:
            # libmagic reads its files once, and obstore starts its threads.
            await page.upload(SLOT, "first.bin", b"content")
            idle = server.memory()
            server.reset_peak()
            await page.upload(SLOT, "big.bin", bytes(72 * MIB), chunk_size=64 * 1024)
            assert server.peak_memory() - idle < concurrency * part_size + 24 * MIB
