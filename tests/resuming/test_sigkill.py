"""SIGKILL at a random moment, the same port again, and the uploads go on in the new process.

``ROUNDS`` in the environment says how often; ``make test-rounds``: 50 times for each sink.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass

from djust_uploads.testing import UploadClient
from tests.support.resuming import KIB, MIB, arrived, new_session, resume_site, sha256

ROUNDS = int(os.environ.get("ROUNDS", "2"))

#: Uploads that are on their way when the server is killed.
AT_ONCE = 6

#: Seconds from the first byte to the kill, at most; many uploads would take longer.
LATEST = 2.5

#: The largest file: some parts.
SIZES = {"default": 6 * MIB, "s3": 16 * MIB, "gcs": 3 * MIB}


@dataclass
class File:
    """A file, and how it is sent: in chunks of ``chunk_size``, as long as the first server lives at
    ``rate`` bytes a second."""

    ref: str
    slot: str
    data: bytes
    chunk_size: int
    rate: float

    @classmethod
    async def registered(cls, page, rng, destination):
        slots_size = rng.choice([1000, 64 * KIB, 256 * KIB])
        chunk_size = rng.choice([slots_size, rng.randint(600, slots_size)])
        # A chunk costs about the same, however small.
        size = min(rng.randint(0, SIZES[destination.alias]), 3000 * chunk_size)
        slot = destination.slot(slots_size)
        ref = await page.register(slot, "data.bin", size, resumable=True)
        rate = size / rng.uniform(0.1, 1.5 * LATEST)
        return cls(ref, slot, rng.randbytes(size), chunk_size, rate)

    async def send_slowly(self, page, pause=0.02):
        step = max(1, int(self.rate * pause))
        for until in range(step, len(self.data) + step, step):
            until = min(until, len(self.data))
            await page.send_chunks(self.ref, self.data, until=until, chunk_size=self.chunk_size)
            await asyncio.sleep(pause)
        await page.complete(self.ref)

    async def go_on(self, page):
        """As a page does on the new process. Returns how much had been acknowledged: that the
        offset is not below, the client asserts."""
        acknowledged = page.acknowledged(self.ref)
        answer = await page.resume(self.ref)
        if answer["status"] == "not_found":
            assert acknowledged == 0, answer
            size = len(self.data)
            self.ref = await page.register(self.slot, "data.bin", size, resumable=True)
        else:
            assert answer["status"] == "resumed", answer
        await page.send_chunks(self.ref, self.data, chunk_size=self.chunk_size)
        await page.complete(self.ref)
        return acknowledged


async def test_killed_at_random_moments(tmp_path, cache, destination):
    seed = random.randrange(10**9)
    print(f"seed {seed}, {ROUNDS} rounds")
    rng = random.Random(seed)
    acknowledged = []
    with resume_site(tmp_path, cache, destination) as site:
        async with UploadClient(site.ws("/ws/"), cookies=new_session()) as page:
            for _ in range(ROUNDS):
                acknowledged += await one_round(site, page, rng, destination)
    # One kill may come before anything was acknowledged; ten don't.
    assert ROUNDS < 10 or any(acknowledged)
    if destination.keeps_files:
        assert len(destination.keys()) == len(acknowledged)


async def one_round(site, page, rng, destination):
    files = [await File.registered(page, rng, destination) for _ in range(AT_ONCE)]
    sending = [asyncio.create_task(file.send_slowly(page)) for file in files]
    await asyncio.sleep(rng.uniform(0, LATEST))
    await asyncio.to_thread(site.kill)
    for error in await asyncio.gather(*sending, return_exceptions=True):
        assert error is None or isinstance(error, ConnectionError)
    await asyncio.to_thread(site.start)
    await page.reconnect()
    acknowledged = await asyncio.gather(*(file.go_on(page) for file in files))
    got = {}
    for slot in {file.slot for file in files}:
        got |= await arrived(page, slot)
    assert got == {file.ref: sha256(file.data) for file in files}
    return acknowledged
