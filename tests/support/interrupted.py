"""Steps of the tests of interrupted uploads, on connections without a socket."""

from __future__ import annotations

import asyncio
import os

from djust_uploads.exceptions import SinkFull
from djust_uploads.sinks.temporary_file import PREFIX
from djust_uploads.testing import RecordingSink
from tests.support.connection import Connection
from tests.support.servers import wait_until

CHUNK = 64 * 1024
DATA = os.urandom(40 * CHUNK + 5)
ALICE = "user:1"


def files(tmp_path):
    return [path for path in tmp_path.iterdir() if path.name.startswith(PREFIX)]


def connect(sink, owner=ALICE, **options):
    return Connection(owner=owner, sink=sink, resumable=True, **options)


async def send_some(page, chunks=10, data=DATA):
    """Register and send so many chunks; returns when the sink took them."""
    ref = await page.register(len(data))
    await page.chunks(ref, data[: chunks * CHUNK])
    [entry] = page.entries()
    assert await wait_until(lambda: entry.taken == chunks * CHUNK)
    return ref


async def settled(parking):
    """Every parked transfer has saved what it could."""
    transfers = list(parking._transfers.values())

    def is_saved(transfer):
        return transfer._sink.checkpoints.offset == transfer.entry.taken

    assert await wait_until(lambda: all(map(is_saved, transfers)))


class BrokenSink(RecordingSink):
    broken = False

    async def open(self, upload):
        writer = await super().open(upload)
        writer.__class__ = type("BrokenWriter", (type(writer),), {"write": _write_or_break})
        writer.checkpoint = _some_checkpoint
        return writer


async def _write_or_break(self, chunk):
    if self._sink.broken:
        # Until the connection is gone.
        await asyncio.sleep(0.05)
        raise SinkFull("disk 7")


async def _some_checkpoint():
    return {}
