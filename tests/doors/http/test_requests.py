"""What happens at certain moments of a request, without a server."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from djust_uploads import MemorySink, TemporaryFileSink, UploadEndpoint, UploadMixin
from djust_uploads.doors.http import concatenation
from djust_uploads.flow.budget import budget
from djust_uploads.resuming.parking import Parking
from djust_uploads.uploads import process
from tests.support.requests import MEDIA_TYPE, Asked, create, patch
from tests.support.servers import wait_until

BLOCK = 64 * 1024
DATA = b"".join(bytes([number]) * BLOCK for number in range(4))


class Endpoint(UploadMixin, UploadEndpoint):
    async def mount(self):
        self.allow_upload("files", max_file_size=10**6, sink=MemorySink())
        self.allow_upload("failing", max_file_size=10**6, sink=MemorySink())

    async def uploaded(self, entry):
        if entry.upload_name == "failing":
            raise RuntimeError("a mistake")


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


async def whole(application, slot, data, **headers):
    """Create an upload with all of its bytes, and return the answer."""
    size = {"Upload_Length": len(data), "Content_Length": len(data)}
    request = Asked(application, "POST", f"{slot}/", **size, **MEDIA_TYPE, **headers)
    request.body(data, more=False)
    return await request.answered()


@pytest.mark.parametrize(("slot", "status"), [("files", 503), ("failing", 500)])
async def test_what_could_not_be_created_leaves_nothing(parking, monkeypatch, slot, status):
    """The client was not told an address, so it will create another upload."""
    monkeypatch.setattr(budget, "fits", lambda size: False)
    digest = base64.b64encode(hashlib.sha1(DATA).digest()).decode()
    checksum = {"Upload_Checksum": f"sha1 {digest}"} if slot == "files" else {}
    answer = await whole(Endpoint.as_asgi(), slot, DATA, **checksum)
    assert (answer[0], parking._transfers) == (status, {})


async def test_parts_that_can_not_be_read_leave_no_final_upload(parking, monkeypatch, tmp_path):
    monkeypatch.setattr(concatenation, "_temporary", TemporaryFileSink(tmp_path))
    application = Endpoint.as_asgi()
    _, headers = await whole(application, "files", DATA, Upload_Concat="partial")
    for path in tmp_path.iterdir():
        path.unlink()
    concat = f"final;{headers['location']}"
    status, _ = await Asked(application, "POST", "files/", Upload_Concat=concat).answered()
    assert status == 500
    # The part is still there, for the client to ask again.
    [left] = parking._transfers.values()
    assert left.entry.upload_name == "files/partial"
