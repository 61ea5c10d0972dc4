"""What a process leaves behind, another one goes on with or sweeps away."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from ...exceptions import UploadError
from ...sinks.base import Sink, SinkWriter
from .faults import chunks_of, data_of
from .harness import (
    CHUNK_SIZE,
    EVERYTHING,
    EndOfTest,
    SinkTests,
    is_gone,
    on_loop,
    upload_info,
)


class Processes(SinkTests):
    # Checkpoints

    async def _suspended(self, sink: Sink, writer: SinkWriter) -> dict[str, Any]:
        """The checkpoint, as it comes out of a cache. Of a sink that has none, it asks only that it
        says so in every way."""
        checkpoint = await writer.checkpoint()
        if checkpoint is None:
            await writer.abort()
            assert not self.resumable, (
                "checkpoint() returned None, though the test says 'resumable': return what "
                "resume() needs, or take 'resumable' away."
            )
            await self._refuses(sink, {}, "has no checkpoints: leave resume() to Sink")
            raise EndOfTest
        try:
            text = json.dumps(checkpoint)
        except TypeError as exc:
            raise AssertionError(
                f"checkpoint() must return JSON's types only; it goes through a cache: {exc}."
            ) from exc
        restored: dict[str, Any] = json.loads(text)
        return restored

    async def _refuses(self, sink: Sink, checkpoint: dict[str, Any], why: str) -> None:
        try:
            await sink.resume(upload_info(4 * self.part_size), checkpoint)
        except UploadError:
            return
        except Exception as exc:
            raise AssertionError(
                f"resume() must raise NotResumable, not {exc!r}, as it {why}."
            ) from exc
        raise AssertionError(f"resume() must raise NotResumable, as it {why}.")

    async def _resume(self, sink: Sink, data: bytes, written: int, *, more: int = 0) -> None:
        """Write, suspend, write ``more`` that no checkpoint knows, go on elsewhere."""
        info = upload_info(len(data))
        writer = await sink.open(info)
        await self._write(writer, chunks_of(data[:written], CHUNK_SIZE))
        checkpoint, durable = await self._suspended(sink, writer), writer.offset
        await self._write(writer, [data[written : written + more]], start=written)
        await sink.aclose()
        other = self.another_process(sink)
        resumed = await other.resume(info, checkpoint)
        assert durable <= resumed.offset <= written + more, (
            f"resume() returned a writer at offset {resumed.offset}; it was {durable} at the "
            f"checkpoint, and {written + more} bytes were written: start where the stored bytes "
            "end."
        )
        rest = chunks_of(data[resumed.offset :], CHUNK_SIZE)
        await self._write(resumed, rest, start=resumed.offset)
        file = await self._finish(resumed, data)
        await self._has(file, data, f"when it was resumed at {durable} of {len(data)}")
        await self._delete(other, file)
        await other.aclose()
        await writer.abort()

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
    async def test_resume_and_abort(self, sink: Sink) -> None:
        info = upload_info(4 * self.part_size)
        writer = await sink.open(info)
        await self._write(writer, [data_of(2 * self.part_size)])
        checkpoint = await self._suspended(sink, writer)
        other = self.another_process(sink)
        resumed = await other.resume(info, checkpoint)
        await self._abort(other, resumed, "resume()")
        await other.aclose()
        await self._refuses(sink, checkpoint, "was aborted, and its bytes are gone")
        await self._refuses(sink, {}, "got what is no checkpoint of this sink")
        await writer.abort()

    # Sweeps

    @on_loop
    async def test_sweep_takes_what_is_old_enough(self, sink: Sink) -> None:
        data = data_of(2 * self.part_size + 1)
        abandoned = await self._open(sink, len(data) + 1)
        await self._write(abandoned, [data])
        left = await self._in_store(sink)
        young = await sink.sweep(timedelta(days=1))
        assert await self._in_store(sink) == left, (
            f"sweep() of what is a day old took {young}, which is new: compare the age."
        )
        names = await sink.sweep(EVERYTHING, dry_run=True)
        assert await self._in_store(sink) == left, (
            "sweep(dry_run=True) deleted something: it must only return the names."
        )
        swept = await sink.sweep(EVERYTHING)
        assert set(names) <= set(swept), f"sweep() took {swept}; with dry_run it named {names}."
        await self._nothing_left(
            sink, "sweep()", "sweep() must delete what a process that crashed left unfinished."
        )
        again = await sink.sweep(EVERYTHING)
        assert not set(again) & set(swept), f"sweep() returned {again} twice: it was gone."
        await abandoned.abort()

    @on_loop
    async def test_sweep_spares_what_is_kept(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        await file.akeep()
        # Elsewhere akeep() changes nothing.
        if sink.keeps_files:
            await sink.sweep(EVERYTHING)
        assert not await is_gone(file), (
            "sweep() deleted a file that was consumed: mark what is not, and take the mark away in "
            "the file's akeep()."
        )
        await self._has(file, data, "when it was consumed and a sweep came by")
        await self._delete(sink, file)

    @on_loop
    async def test_sweep_takes_what_was_never_consumed(self, sink: Sink) -> None:
        file = await self._store(sink, data_of(self.part_size + 1))
        await sink.sweep(EVERYTHING)
        await self._nothing_left(
            sink, "a crash before the file was consumed", "mark it until akeep(), for sweep()."
        )
        await file.adelete()
