"""A process that writes an upload into a sink, to be killed: ``python -m
tests.support.crashing_writer``.

It goes on from the checkpoint in a file and keeps that up to date, as a transfer does: what is
durable is saved before anybody may count on it. It tells the offset after each chunk, and the end.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

MIB = 1024 * 1024
CHUNK_SIZE = 64 * 1024


def made(backend, options):
    """The sink. SDKs are slow to import: only the one that is needed."""
    if backend == "temporary":
        from djust_uploads import TemporaryFileSink

        return TemporaryFileSink(**options)
    if backend == "s3":
        from djust_uploads.sinks.s3.sink import S3Sink

        return S3Sink("media", part_size=5 * MIB, max_concurrency=2, **options)
    from google.auth.credentials import AnonymousCredentials

    from djust_uploads.sinks.gcs.sink import GCSSink

    options = {"credentials": AnonymousCredentials(), **options}
    return GCSSink("media", chunk_size=512 * 1024, **options)


def data_of(size):
    return random.Random(size).randbytes(size)


async def main(backend, options, info, path):
    from djust_uploads import UploadInfo

    sink, info = made(backend, options), UploadInfo(**info)
    checkpoint = json.loads(Path(path).read_text())
    writer = await (sink.resume(info, checkpoint) if checkpoint else sink.open(info))
    data, saved = data_of(info.size), -1
    starts = range(writer.offset, info.size, CHUNK_SIZE)
    for count, start in enumerate([None, *starts]):
        if start is not None:
            await writer.write(data[start : start + CHUNK_SIZE])
        if count % 100 == 0:
            # A browser is slower than a store nearby, which has most of it by now.
            await writer.flush()
        if writer.offset > saved:
            await save(writer, path)
            saved = writer.offset
        print(saved, flush=True)
    await writer.finish()
    await save(writer, path)
    print("done", flush=True)
    await asyncio.sleep(60)


async def save(writer, path):
    new = Path(f"{path}.new")
    checkpoint = await writer.checkpoint()
    new.write_text(json.dumps(checkpoint))
    new.rename(path)


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(main(*json.loads(sys.argv[1])))
