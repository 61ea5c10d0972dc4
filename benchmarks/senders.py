"""SDKs that send a file from the disk to a store.

    python -m benchmarks.senders NAME OPTIONS

The process reads the path of a file from each line of its standard input. It uploads the file, and
prints the figures of a :class:`.meter.Meter` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter

#: Bytes of a part, and how many parts are sent at once. These are the defaults of our sinks.
PART_SIZE = 8 * 1024 * 1024
CONCURRENCY = 4

Send = Callable[[Path], Awaitable[None]]


async def aioboto3_sender(options: dict[str, Any]) -> Send:
    import aioboto3
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE, max_concurrency=CONCURRENCY
    )
    client = await aioboto3.Session().client("s3", **options).__aenter__()

    async def send(path: Path) -> None:
        await client.upload_file(str(path), "media", path.name, Config=config)

    return send


async def boto3_sender(options: dict[str, Any]) -> Send:
    import boto3
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE, max_concurrency=CONCURRENCY
    )
    client = boto3.client("s3", **options)

    def send(path: Path) -> None:
        client.upload_file(str(path), "media", path.name, Config=config)

    return in_thread(send)


async def gcs_sender(options: dict[str, Any]) -> Send:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("", AnonymousCredentials(), client_options=options)
    bucket = client.bucket("media")

    def send(path: Path) -> None:
        blob = bucket.blob(path.name, chunk_size=PART_SIZE)
        with path.open("rb") as file:
            blob.upload_from_file(file, size=path.stat().st_size)

    return in_thread(send)


def in_thread(send: Callable[[Path], None]) -> Send:
    """Call a blocking SDK in a thread, as an asynchronous server does."""

    async def send_in_thread(path: Path) -> None:
        await asyncio.to_thread(send, path)

    return send_in_thread


SENDERS = {"aioboto3": aioboto3_sender, "boto3": boto3_sender, "gcs": gcs_sender}


async def main(name: str, options: str) -> None:
    send = await SENDERS[name](json.loads(options))
    meter = Meter()
    while line := await asyncio.to_thread(sys.stdin.readline):
        meter.start()
        started = time.perf_counter()
        await send(Path(line.strip()))
        seconds = time.perf_counter() - started
        print(json.dumps({**meter.stop(), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
