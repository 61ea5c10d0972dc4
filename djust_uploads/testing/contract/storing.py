"""What goes in comes out, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ...sinks.base import Sink
from .content import chunks_of, data_of, ragged, upload_info
from .harness import on_loop
from .steps import SinkTests, cause_of

#: Parts and bytes beside them.
SIZES = {
    "0": (0, 0),
    "1": (0, 1),
    "part-1": (1, -1),
    "part": (1, 0),
    "part+1": (1, 1),
    "parts": (4, 0),
    "parts+1": (4, 1),
}


class Storing(SinkTests):
    # Bytes

    @pytest.mark.parametrize("size", SIZES)
    @on_loop
    async def test_size(self, sink: Sink, size: str) -> None:
        parts, rest = SIZES[size]
        data = data_of(parts * self.part_size + rest)
        file = await self._store(sink, data)
        await self._has(file, data, f"when it is {len(data)} bytes long")
        await self._delete(sink, file)

    @on_loop
    async def test_ragged_chunks(self, sink: Sink) -> None:
        data = data_of(6 * self.part_size + 7)
        file = await self._store(sink, data, ragged(data, self.part_size))
        await self._has(file, data, "when its chunks are of different lengths")
        await self._delete(sink, file)

    @on_loop
    async def test_one_chunk_of_many_parts(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 1)
        file = await self._store(sink, data, [data])
        await self._has(file, data, "when a chunk is longer than a part")
        await self._delete(sink, file)

    @on_loop
    async def test_flush_between_chunks(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 7)
        writer = await self._open(sink, len(data))
        await self._flush(writer, 0)
        written = 0
        for chunk in ragged(data, self.part_size):
            await self._write(writer, [chunk], start=written)
            written += len(chunk)
            await self._flush(writer, written)
        await self._flush(writer, written)
        file = await self._finish(writer, data)
        await self._has(file, data, "when flush() comes between its chunks")
        await self._delete(sink, file)

    @on_loop
    async def test_views_of_a_message(self, sink: Sink) -> None:
        """A message has several chunks. Its memory is used again when the upload has ended."""
        data = data_of(2 * self.part_size + 7)
        writer = await self._open(sink, len(data))
        message = bytearray(data)
        view = memoryview(message)
        chunks: Iterable[Any] = chunks_of(data, 1000)
        if writer.takes_views:
            chunks = (view[at : at + 1000].toreadonly() for at in range(0, len(data), 1000))
        with self._expect("write() of a view", "takes_views says that it takes them."):
            await self._write(writer, chunks)
            file = await self._finish(writer, data)
        message[:] = bytes(len(message))
        await self._has(
            file,
            data,
            "when its chunks were views, and their memory is used again: copy what the file keeps",
        )
        await self._delete(sink, file)

    # More than one

    @on_loop
    async def test_two_writers_at_once(self, sink: Sink) -> None:
        ours, theirs = data_of(3 * self.part_size + 1), data_of(3 * self.part_size + 2)
        text = replace(upload_info(len(theirs)), content_type="text/plain")
        infos = [upload_info(len(ours)), text]
        writers = [await self._open_info(sink, info) for info in infos]
        await asyncio.gather(
            self._write(writers[0], chunks_of(ours, 1000 + self.part_size // 3)),
            self._write(writers[1], chunks_of(theirs, 1000 + self.part_size // 3)),
        )
        files = await asyncio.gather(
            self._finish(writers[0], ours), self._finish(writers[1], theirs)
        )
        for file, data in zip(files, (ours, theirs), strict=True):
            await self._has(
                file,
                data,
                "when two files of one name are written at once: share nothing between "
                "writers, and name what they store by upload.key",
            )
        for file, info in zip(files, infos, strict=True):
            found = (file.size, file.content_type)
            assert found == (info.size, info.content_type), (
                f"A file's size and content_type are {found}, and its upload's are "
                f"{(info.size, info.content_type)}: keep in the writer what open() was told of it."
            )
        await self._remove(files[0])
        await self._has(files[1], theirs, "when another one of its name is deleted")
        await self._delete(sink, files[1])

    @on_loop
    async def test_one_is_aborted_while_another_is_written(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 1)
        writer = await self._open(sink, len(data))
        other = await self._open(sink, len(data))
        chunks = list(chunks_of(data, self.part_size))
        await self._write(writer, chunks[:2])
        await self._write(other, chunks[:2])
        with self._expect("abort()", "nothing is wrong with the store."):
            await other.abort()
        await self._write(writer, chunks[2:], start=2 * self.part_size)
        file = await self._finish(writer, data)
        await self._has(file, data, "when another writer was aborted meanwhile")
        await self._delete(sink, file)

    # The sink

    def test_check_finds_nothing(self, sink: Sink) -> None:
        found = list(sink.check())
        assert not found, (
            f"check() returned {found} for a sink that works, and 'manage.py check' would show it "
            "each time: return a message only for what somebody must set right."
        )

    @on_loop
    async def test_works_after_aclose(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        with self._expect("aclose(), called twice,", "what is closed is no error."):
            await sink.aclose()
            await sink.aclose()
        await self._has(file, data, "when the sink was closed")
        await self._delete(sink, file)
        mend = "open connections when they are used first, again after aclose()."
        with self._expect("An upload after aclose()", mend):
            writer = await sink.open(upload_info(len(data)))
            await writer.write(data)
            file = await writer.finish()
        await self._delete(sink, file)

    @on_loop
    async def test_blocks_no_event_loop(self, sink: Sink) -> None:
        blockbuster = pytest.importorskip("blockbuster")
        data = data_of(2 * self.part_size + 1)
        # The first time imports modules, which reads files.
        with self._expect("An upload, its file and a sweep", "nothing is wrong with the store."):
            await self._upload_read_delete(sink, data)
        try:
            with blockbuster.blockbuster_ctx():
                await self._upload_read_delete(sink, data)
        except Exception as exc:
            cause = cause_of(exc, blockbuster.BlockingError)
            if not cause:
                raise AssertionError(f"An upload, its file and a sweep raised {exc!r}.") from exc
            raise AssertionError(
                f"{cause} on the event loop, where every other socket waits for it: use an async "
                "library, or asyncio.to_thread()."
            ) from exc

    async def _upload_read_delete(self, sink: Sink, data: bytes) -> None:
        info = upload_info(len(data))
        writer = await sink.open(info)
        await writer.write(data)
        await writer.flush()
        if checkpoint := await self._checkpoint_if_any(writer):
            await writer.release()
            writer = await sink.resume(info, checkpoint)
            await writer.write(data[writer.offset :])
        file = await writer.finish()
        assert await file.aread() == data
        await asyncio.to_thread(file.close)
        await file.akeep()
        await file.adelete()
        writer = await sink.open(upload_info(len(data)))
        await writer.write(data)
        await writer.abort()
        await sink.sweep(timedelta(days=1))
