"""However a writer ends, nothing but a finished file is left, and the sink goes on."""

from __future__ import annotations

import pytest

from ...sinks.base import Sink
from .content import CHUNK_SIZE, chunks_of, data_of, unreadable, upload_info
from .harness import on_loop
from .steps import SinkTests


class Ends(SinkTests):
    @on_loop
    async def test_finish_twice(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, chunks_of(data, 1000))
        first = await self._finish(writer, data)
        stored = await self._in_store(sink)
        mend = "keep the file that the first call returned, and return it."
        with self._expect("finish(), called again,", mend):
            second = await writer.finish()
        await self._has(second, data, "when finish() is called again")
        assert await self._in_store(sink) == stored and second.name == first.name, (
            f"finish() stored a second file when it was called again: {mend}"
        )
        await self._delete(sink, second)

    @pytest.mark.parametrize("parts", [0, 1, 3])
    @on_loop
    async def test_abort_twice(self, sink: Sink, parts: int) -> None:
        data = data_of(parts * self.part_size)
        writer = await self._open(sink, 4 * self.part_size)
        await self._write(writer, chunks_of(data, CHUNK_SIZE))
        await self._abort(sink, writer, f"{len(data)} bytes")
        await self._abort(sink, writer, "abort()")

    @on_loop
    async def test_abort_of_all_bytes(self, sink: Sink) -> None:
        data = data_of(2 * self.part_size)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        await self._abort(sink, writer, "all bytes")

    @on_loop
    async def test_abort_while_others_go_on(self, sink: Sink) -> None:
        """The files of others, finished and unfinished ones, are not the writer's to delete."""
        data = data_of(self.part_size + 1)
        finished = await self._store(sink, data)
        going_on = await self._open(sink, len(data))
        await self._write(going_on, [data[:-1]])
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        with self._expect("abort()", "nothing is wrong with the store."):
            await writer.abort()
        await self._write(going_on, [data[-1:]], start=len(data) - 1)
        files = [finished, await self._finish(going_on, data)]
        for file in files:
            await self._has(file, data, "when another upload was aborted")
            await self._remove(file)
        await self._nothing_left(sink, "abort() and adelete()", "delete what the upload stored.")

    @on_loop
    async def test_a_file_for_which_there_is_no_room(self, sink: Sink) -> None:
        """A size that nobody has room for is an error of ours, in the first call or a later one."""
        self._doing = "open()"
        try:
            writer = await sink.open(upload_info(2**60))
        except Exception as exc:
            self._is_ours(exc, "open() of a file of 2**60 bytes")
        else:
            await self._abort(sink, writer, "open() of a file of 2**60 bytes")
        await self._still_works(sink, "a file of 2**60 bytes")

    @on_loop
    async def test_a_write_that_fails(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data) + 1)
        await self._write(writer, [data])
        try:
            await writer.write(unreadable())
            await writer.finish()
        except Exception:  # whatever the sink makes of it
            pass
        else:
            raise AssertionError(
                "write() and finish() swallowed an error: let it pass, or translate it."
            )
        await self._abort(sink, writer, "a write() that failed")
        await self._still_works(sink, "a write() that failed")
