"""How late the server's event loop is while it uploads into each sink.

    python -m benchmarks.loop_lag [ROUNDS] [MEGABYTES]

The server is uvicorn in a process of its own, compression off, frames of 256 KiB. A task on its
loop sleeps a millisecond at a time and notes by how much each sleep was too long. In each round one
file goes into each sink, one after the other, so that a machine that slows down slows all of them;
what is printed are medians over the rounds of each round's percentiles, and the slowest round's.
"idle" is the same watch over a server that does nothing for as long as the first upload took.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from djust_uploads.testing import UploadClient
from tests.gcs_stores import emulator
from tests.servers import serve
from tests.stores import seaweedfs

MB = 1_000_000
BLOCK = os.urandom(MB)


async def lag(page: UploadClient) -> dict[str, float]:
    page.messages.clear()
    await page.event("lag")
    message = await page.wait_for(type="push_event", event="lag")
    payload: dict[str, float] = message["payload"]
    return payload


async def measure(page: UploadClient, sink: str, megabytes: int) -> dict[str, float]:
    """One upload: its rate in MB/s beside the loop's lag in ms."""
    await lag(page)
    started = time.perf_counter()
    if sink == "idle":
        await asyncio.sleep(megabytes / 200)
    else:
        await page.upload(sink, "data.bin", BLOCK * megabytes, chunk_size=256 * 1024)
    seconds = time.perf_counter() - started
    measured = await lag(page)
    await page.event("discard", slot=sink)
    return measured | {"rate": megabytes / seconds}


async def run(url: str, sinks: list[str], rounds: int, megabytes: int) -> None:
    measured: dict[str, list[dict[str, float]]] = {sink: [] for sink in sinks}
    async with UploadClient(url) as page:
        await page.mounted()
        for sink in sinks[1:]:
            await measure(page, sink, 20)  # SDKs load at their first use
        for _ in range(rounds):
            for sink in sinks:
                measured[sink].append(await measure(page, sink, megabytes))
    print(f"{rounds} rounds of {megabytes} MB, lag in ms\n")
    print("| sink | MB/s | lag p50 | lag p99 | lag p99, slowest round | longest |")
    print("|---|---|---|---|---|---|")
    for sink, results in measured.items():
        middle = {key: statistics.median(r[key] for r in results) for key in results[0]}
        worst = max(r["p99"] for r in results)
        rate = "" if sink == "idle" else f"{middle['rate']:.0f}"
        row = f"{middle['p50']:.1f} | {middle['p99']:.1f} | {worst:.1f} | {middle['max']:.1f}"
        print(f"| {sink} | {rate} | {row} |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with (
        tempfile.TemporaryDirectory() as name,
        seaweedfs(Path(name)) as store,
        emulator() as gcs,
    ):
        options = {"bucket": "media", "addressing_style": "path", **store.options}
        sinks = {
            "temporary": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
            "s3": {"BACKEND": "djust_uploads.sinks.S3Sink", "OPTIONS": options},
            "gcs": {"BACKEND": "djust_uploads.sinks.GCSSink", "OPTIONS": {"bucket": "media"}},
        }
        uploads = Path(name) / "uploads"
        environ = {"SINKS": json.dumps(sinks), "STORAGE_EMULATOR_HOST": gcs.url}
        with serve("benchmarks.site:application", uploads, **environ) as server:
            asyncio.run(run(server.ws("/ws/"), ["idle", *sinks], rounds, megabytes))


if __name__ == "__main__":
    main()
