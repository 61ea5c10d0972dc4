"""How little of an object is fetched: zipfile and Pillow on files in a bucket."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile

import pytest
from PIL import Image

from tests.support.buckets import MIB, S3, info, upload
from tests.support.s3_stores import empty

MEMBERS, MEMBER = 2000, 100 * 1024


class Growing(io.RawIOBase):
    """What zipfile writes, to be taken piece by piece."""

    def __init__(self):
        self.pieces = []

    def writable(self):
        return True

    def write(self, piece):
        self.pieces.append(bytes(piece))
        return len(piece)

    def take(self):
        taken, self.pieces = b"".join(self.pieces), []
        return taken


def archive():
    """200 MiB of zip archive, in pieces."""
    growing = Growing()
    with zipfile.ZipFile(growing, "w") as writing:
        for number in range(MEMBERS):
            writing.writestr(f"folder/{number:05}.txt", f"{number:05}" * (MEMBER // 5))
            yield growing.take()
    yield growing.take()


def ranges_of(sink):
    """The ranges that are fetched from now on, as numbers of bytes."""
    fetched = []

    def note(params, **kwargs):
        start, _, end = params["headers"]["Range"].removeprefix("bytes=").partition("-")
        fetched.append(int(end) - int(start) + 1)

    sink._bucket._clients.blocking().meta.events.register("before-call.s3.GetObject", note)
    return fetched


async def test_zipfile_lists_a_large_archive_by_a_handful_of_small_requests(seaweedfs_store):
    empty(seaweedfs_store)
    size = sum(map(len, archive()))
    assert size > 195 * MIB
    async with S3.sink(seaweedfs_store, part_size=8 * MIB) as sink:
        writer = await sink.open(info(size, "a.zip", "application/zip"))
        for piece in archive():
            await writer.write(piece)
        file = await writer.finish()
        fetched = ranges_of(sink)

        def read():
            with zipfile.ZipFile(file) as opened:
                assert len(opened.namelist()) == MEMBERS
                listing = list(fetched)
                assert opened.read("folder/01234.txt").startswith(b"0123401234")
            return listing

        listing = await asyncio.to_thread(read)
        await file.adelete()
    # The end, and the directory before it.
    assert len(listing) <= 3
    assert sum(listing) < MIB
    # A member costs little more than itself.
    assert len(fetched) - len(listing) <= 3
    assert sum(fetched) - sum(listing) < 8 * MEMBER


@pytest.mark.parametrize(("kind", "most"), [("PNG", 1), ("JPEG", 1), ("TIFF", 2)])
async def test_pillow_opens_an_image_by_one_request_and_reads_it_by_few(store, kind, most):
    content = io.BytesIO()
    Image.frombytes("RGB", (2000, 1500), os.urandom(9_000_000)).save(content, kind)
    async with S3.sink(store) as sink:
        file = await upload(sink, content.getvalue())
        fetched = ranges_of(sink)

        def read():
            with Image.open(file) as opened:
                assert opened.size == (2000, 1500)
                assert len(fetched) <= most
                assert sum(fetched) <= most * 64 * 1024
                opened.load()
                assert sum(opened.resize((1, 1)).getpixel((0, 0))) > 0

        await asyncio.to_thread(read)
    # 64 KiB, and twice as much with each request, to 4 MiB.
    assert len(fetched) <= 12
    assert sum(fetched) < 2 * file.size
