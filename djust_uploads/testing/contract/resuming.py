"""What one process leaves unfinished, another one goes on with."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from ...exceptions import UploadError
from ...files import SinkFile
from ...sinks.base import Sink, SinkWriter, UploadInfo
from .faults import chunks_of, data_of
from .harness import CHUNK_SIZE, EndOfTest, SinkTests, expect, is_ours, on_loop, upload_info


class Resuming(SinkTests):
    # Steps

    async def _checkpoint(self, sink: Sink, writer: SinkWriter) -> dict[str, Any]:
        """The checkpoint, as it comes out of a cache. Of a sink that has none, it asks only that it
        says so in every way."""
        checkpoint = await writer.checkpoint()
        if checkpoint is None:
            await writer.abort()
            assert not self.resumable, (
                "checkpoint() returned None, though the test says 'resumable': return what "
                "resume() needs, or take 'resumable' away."
            )
            info = upload_info(self.part_size)
            await self._refuses(sink, info, {}, "has no checkpoints: leave resume() to Sink")
            raise EndOfTest
        try:
            text = json.dumps(checkpoint)
        except TypeError as exc:
            raise AssertionError(
                f"checkpoint() must return JSON's types only; it goes through a cache: {exc}."
            ) from exc
        restored: dict[str, Any] = json.loads(text)
        return restored

    async def _refuses(
        self, sink: Sink, info: UploadInfo, checkpoint: dict[str, Any], why: str
    ) -> None:
        try:
            await sink.resume(info, checkpoint)
        except UploadError:
            return
        except Exception as exc:
            raise AssertionError(
                f"resume() must raise NotResumable, not {exc!r}, as it {why}."
            ) from exc
        raise AssertionError(f"resume() must raise NotResumable, as it {why}.")

    async def _resumed(
        self,
        sink: Sink,
        info: UploadInfo,
        checkpoint: dict[str, Any],
        durable: int,
        written: int,
    ) -> SinkWriter:
        """The writer that goes on, when ``durable`` bytes were the writer's offset at the
        checkpoint, and ``written`` were written until now."""
        with expect("resume()", "the checkpoint is the sink's own, and its bytes are there."):
            writer = await sink.resume(info, checkpoint)
        assert durable <= writer.offset <= written, (
            f"resume() returned a writer at offset {writer.offset}; it was {durable} at the "
            f"checkpoint, and {written} bytes were written: start where the stored bytes end."
        )
        return writer

    async def _go_on(self, writer: SinkWriter, data: bytes, when: str) -> None:
        """Write the rest, finish, and look at the file."""
        rest = chunks_of(data[writer.offset :], CHUNK_SIZE)
        await self._write(writer, rest, start=writer.offset)
        await self._has(await self._finish(writer, data), data, when)

    # From checkpoints

    async def _resume(self, sink: Sink, data: bytes, written: int, *, more: int = 0) -> None:
        """Write, suspend, write ``more`` that no checkpoint knows, go on elsewhere."""
        info = upload_info(len(data))
        writer = await sink.open(info)
        await self._write(writer, chunks_of(data[:written], CHUNK_SIZE))
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        await self._write(writer, [data[written : written + more]], start=written)
        await sink.aclose()
        other = self._other(sink)
        resumed = await self._resumed(other, info, checkpoint, durable, written + more)
        await self._go_on(resumed, data, f"when it was resumed at {durable} of {len(data)}")
        await self._delete(other, await resumed.finish())
        await writer.release()

    @on_loop
    async def test_resume_at_every_offset(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 7)
        step = self.part_size // 2 + 1
        for written in (0, 1, *range(step, len(data), step), len(data)):
            await self._resume(sink, data, written)

    @on_loop
    async def test_resume_from_an_older_checkpoint(self, sink: Sink) -> None:
        data = data_of(4 * self.part_size + 7)
        await self._resume(sink, data, self.part_size + 1, more=2 * self.part_size)

    @on_loop
    async def test_resume_after_release(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 7)
        for written in (1, 2 * self.part_size + 1, len(data)):
            info = upload_info(len(data))
            writer = await sink.open(info)
            await self._write(writer, chunks_of(data[:written], CHUNK_SIZE))
            await self._flush(writer, written)
            checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
            await self._release(sink, writer)
            other = self._other(sink)
            resumed = await self._resumed(other, info, checkpoint, durable, written)
            await self._go_on(resumed, data, f"when it was released at {durable}, and resumed")
            await self._delete(other, await resumed.finish())

    async def _release(self, sink: Sink, writer: SinkWriter) -> None:
        before = await self._in_store(sink)
        mend = "it must let go of memory and tasks only, and not ask the store."
        with self.failing_store(sink) or contextlib.nullcontext():
            for _ in range(2):
                with expect("release()", mend):
                    await writer.release()
        left = await self._in_store(sink)
        assert left == before, f"release() changed the store from {before} to {left}: {mend}"

    @on_loop
    async def test_resume_twice_from_one_checkpoint(self, sink: Sink) -> None:
        """The first one to go on may die before it takes a checkpoint of its own."""
        data = data_of(4 * self.part_size + 7)
        info, written = upload_info(len(data)), self.part_size + 1
        writer = await sink.open(info)
        await self._write(writer, [data[:written]])
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        await writer.release()
        first, more = self._other(sink), written + 2 * self.part_size
        resumed = await self._resumed(first, info, checkpoint, durable, written)
        await self._write(resumed, [data[resumed.offset : more]], start=resumed.offset)
        await resumed.release()
        await first.aclose()
        second = self._other(sink)
        resumed = await self._resumed(second, info, checkpoint, durable, more)
        await self._go_on(resumed, data, "when one checkpoint was resumed twice")
        await self._delete(second, await resumed.finish())

    @on_loop
    async def test_resume_and_abort(self, sink: Sink) -> None:
        info = upload_info(4 * self.part_size)
        writer = await sink.open(info)
        await self._write(writer, [data_of(2 * self.part_size)])
        checkpoint = await self._checkpoint(sink, writer)
        other = self._other(sink)
        resumed = await other.resume(info, checkpoint)
        await self._abort(other, resumed, "resume()")
        await self._refuses(sink, info, checkpoint, "was aborted, and its bytes are gone")
        await self._refuses(sink, info, {}, "got what is no checkpoint of this sink")
        await writer.release()

    @pytest.mark.parametrize("checkpoint", ["before finish()", "after finish()"])
    @on_loop
    async def test_resume_what_was_finished(self, sink: Sink, checkpoint: str) -> None:
        data = data_of(2 * self.part_size + 7)
        info = upload_info(len(data))
        writer = await sink.open(info)
        await self._write(writer, chunks_of(data, CHUNK_SIZE))
        await self._flush(writer, len(data))
        leading = await self._checkpoint(sink, writer)
        await self._finish(writer, data)
        stored = await self._in_store(sink)
        if checkpoint == "after finish()":
            leading = await self._checkpoint(sink, writer)
        await sink.aclose()
        other = self._other(sink)
        when = f"when it was resumed from the checkpoint {checkpoint}"
        resumed = await self._resumed(other, info, leading, len(data), len(data))
        await self._go_on(resumed, data, when)
        again = await self._in_store(other)
        assert len(again) == len(stored), (
            f"finish() stored a second file {when}, {again} beside {stored}: look for the file in "
            "resume(), and return it."
        )
        await self._delete(other, await resumed.finish())
        if checkpoint == "after finish()":
            await self._refuses(other, info, leading, "was finished, and its file is deleted")

    # Who was replaced

    @pytest.mark.parametrize("bytes_of", ["the file", "another file"])
    @on_loop
    async def test_who_was_replaced_writes_on(self, sink: Sink, bytes_of: str) -> None:
        """It doesn't know yet that the upload goes on elsewhere. What its socket brings is the same
        file; or it is not, when somebody tries to slip in other bytes than are looked at."""
        data = data_of(6 * self.part_size + 7)
        info, written = upload_info(len(data)), self.part_size + 1
        writer = await sink.open(info)
        await self._write(writer, [data[:written]])
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        replaced = Replaced(writer, data if bytes_of == "the file" else data[::-1])
        other = self._other(sink)
        resumed = await self._resumed(other, info, checkpoint, durable, written)
        try:
            file = await self._contend(resumed, replaced, data, written)
        except UploadError as exc:
            assert bytes_of == "another file", (
                f"An upload failed, {exc!r}, as the writer that it was resumed from went on to "
                "write the same bytes: refuse that one's, or take them."
            )
            await self._abort(other, resumed, "a write() of another writer")
        else:
            await self._has(
                file,
                data,
                f"when the writer that it was resumed from goes on to write {bytes_of}: let nobody "
                "write to it any more, from resume() on",
            )
            await self._delete(other, file)
        await writer.release()

    async def _contend(
        self, resumed: SinkWriter, replaced: Replaced, data: bytes, written: int
    ) -> SinkFile:
        """Who was replaced is first, then second, then after the end."""
        first, second = 3 * self.part_size + 2, 5 * self.part_size + 3
        await replaced.write(written, first)
        start = resumed.offset
        await self._write(resumed, chunks_of(data[start:first], CHUNK_SIZE), start)
        await self._write(resumed, chunks_of(data[first:second], CHUNK_SIZE), first)
        await resumed.flush()
        await replaced.write(first, second)
        await self._write(resumed, chunks_of(data[second:], CHUNK_SIZE), second)
        file = await self._finish(resumed, data)
        await replaced.write(second, len(data))
        return file


class Replaced:
    """A writer that writes until it fails."""

    def __init__(self, writer: SinkWriter, data: bytes) -> None:
        self._writer = writer
        self._data = data
        self._failed = False

    async def write(self, start: int, end: int) -> None:
        try:
            for chunk in [] if self._failed else chunks_of(self._data[start:end], CHUNK_SIZE):
                await self._writer.write(chunk)
            await self._writer.flush()
        except Exception as exc:
            self._failed = True
            is_ours(exc, "write() of an upload that goes on elsewhere")
