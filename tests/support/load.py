"""Many clients at once, in a process of their own so that they keep nobody's event loop busy.

    python -m tests.support.load URL COUNT SLOT SIZE [dribble]

Each client uploads one file of ``SIZE`` bytes, or a byte a second of it. "ready" is printed when
all are connected, "done" when all their uploads are complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from collections.abc import AsyncIterator

from djust_uploads.testing import UploadClient
from djust_uploads.wire import FrameType


@contextlib.asynccontextmanager
async def load(
    url: str, count: int, slot: str, size: int, *how: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it until the end of the block, from when all are connected."""
    arguments = [url, str(count), slot, str(size), *how]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def dribble(page: UploadClient, slot: str, size: int) -> None:
    ref = await page.register(slot, "data.bin", size)
    for index in range(size):
        await page.send_frame(FrameType.CHUNK, ref, index, b"x")
        await asyncio.sleep(1)


async def run(url: str, count: int, slot: str, size: int, how: str = "") -> None:
    data = bytes(size)
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(UploadClient(url)) for _ in range(count)]
        for page in pages:
            await page.mounted()
        print("ready", flush=True)
        if how == "dribble":
            await asyncio.gather(*(dribble(page, slot, size) for page in pages))
        else:
            await asyncio.gather(*(page.upload(slot, "data.bin", data) for page in pages))
        print("done", flush=True)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    url, count, slot, size, *how = sys.argv[1:]
    asyncio.run(run(url, int(count), slot, int(size), *how))
