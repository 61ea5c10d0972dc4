"""A store that restarts while an upload is on its way."""

from __future__ import annotations

import asyncio
import hashlib
import os

from moto.server import ThreadedMotoServer

from tests.sinks.buckets.test_socket import site_of
from tests.support.buckets import PART, consumed, page_of
from tests.support.s3_stores import Store
from tests.support.servers import free_port


async def test_an_upload_outlasts_it(kind, tmp_path):
    port = free_port()
    store = Store("moto", f"http://127.0.0.1:{port}")
    server = start(port)
    try:
        store.client().create_bucket(Bucket="media")
        async with site_of(kind, tmp_path, store) as site, page_of(site) as page:
            data = os.urandom(3 * PART + 5)
            ref = await page.register("files", "data.bin", len(data))
            await page.send_chunks(ref, data, until=PART + 5)
            await asyncio.to_thread(server.stop)
            sending = asyncio.create_task(send_rest(page, ref, data))
            await asyncio.sleep(0.5)
            assert not sending.done()
            # What it stores outlives it, as it does in a store on a disk.
            server = start(port)
            await sending
            payload = await consumed(page)
            assert payload["sha256"] == hashlib.sha256(data).hexdigest()
            assert store.read(payload["key"]) == data
    finally:
        store.client().close()
        server.stop()


async def send_rest(page, ref, data):
    await page.send_chunks(ref, data)
    await page.complete(ref)


def start(port):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    return server
