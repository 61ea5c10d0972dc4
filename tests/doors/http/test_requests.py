"""What happens at certain moments of a request, without a server."""

from __future__ import annotations

import asyncio

import pytest

from djust_uploads import MemorySink, UploadEndpoint, UploadMixin
from djust_uploads.resuming.parking import Parking
from djust_uploads.uploads import process
from tests.support.requests import create, patch
from tests.support.servers import wait_until

BLOCK = 64 * 1024
DATA = b"".join(bytes([number]) * BLOCK for number in range(4))


class Endpoint(UploadMixin, UploadEndpoint):
    async def mount(self):
        self.allow_upload("files", max_file_size=10**6, sink=MemorySink())


@pytest.fixture(autouse=True)
def parking(monkeypatch):
    monkeypatch.setattr(process, "parking", Parking())
    return process.parking


async def test_a_request_that_has_lost_the_upload_adds_nothing_to_it(parking):
    """Bytes of the older request arrive when the newer one has just begun where it was."""
    application = Endpoint.as_asgi()
    path = await create(application, "files", len(DATA))
    [transfer] = parking._transfers.values()
    older = patch(application, path, 0, len(DATA))
    older.body(DATA[:BLOCK])
    assert await wait_until(lambda: transfer.entry.received == BLOCK)
    before = transfer.listener
    newer = patch(application, path, BLOCK, BLOCK)
    while transfer.listener is before:  # noqa: ASYNC110 (the moment matters)
        await asyncio.sleep(0)
    older.body(DATA[BLOCK : 2 * BLOCK])
    assert (await older.answered())[0] == 400
    newer.body(DATA[BLOCK : 2 * BLOCK], more=False)
    status, headers = await newer.answered()
    assert (status, headers["upload-offset"]) == (204, str(2 * BLOCK))
    last = patch(application, path, 2 * BLOCK, 2 * BLOCK)
    last.body(DATA[2 * BLOCK :], more=False)
    assert (await last.answered())[0] == 204
    assert transfer.entry.data == DATA
