"""What one process leaves unfinished, another one goes on with."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from ...exceptions import UploadError
from ...sinks.base import Sink, SinkWriter, UploadInfo
from .content import CHUNK_SIZE, chunks_of, data_of, upload_info
from .harness import EndOfTest, on_loop
from .held import bytes_held
from .reading import Reading

#: Bytes of the largest file that is made of more parts than a page has. A store with larger parts
#: has larger pages, too.
MOST_IN_PARTS = 8 * 1024 * 1024


class Resuming(Reading):
    # From checkpoints

    async def _resume(self, sink: Sink, data: bytes, written: int, *, more: int = 0) -> None:
        """Write, suspend, write ``more`` that no checkpoint knows, go on elsewhere."""
        info = upload_info(len(data))
        writer = await self._open_info(sink, info)
        await self._write(writer, chunks_of(data[:written], CHUNK_SIZE))
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        await self._write(writer, [data[written : written + more]], start=written)
        await sink.aclose()
        other = self._other(sink)
        resumed = await self._resumed(other, info, checkpoint, durable, written + more)
        when = f"when it was resumed at {durable} of {len(data)}"
        file = await self._go_on(resumed, data, when)
        await self._delete(other, file)
        await self._let_go(writer)

    async def _let_go(self, writer: SinkWriter) -> None:
        """What a process does that learns late that the upload has gone on elsewhere."""
        with self._expect("release()", "the upload has gone on elsewhere, which is no error."):
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
    async def test_checkpoint_is_a_copy(self, sink: Sink) -> None:
        """The application saves it while the upload goes on."""
        data = data_of(3 * self.part_size + 7)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data[: self.part_size + 1]])
        await self._checkpoint(sink, writer)
        returned = await writer.checkpoint()
        before = json.dumps(returned)
        await self._write(writer, [data[self.part_size + 1 :]], start=self.part_size + 1)
        await self._flush(writer, len(data))
        await writer.checkpoint()
        assert json.dumps(returned) == before, (
            "What checkpoint() returned changed when the upload went on: return a new dict with "
            "new lists each time."
        )
        await self._abort(sink, writer, "checkpoint()")

    @on_loop
    async def test_resume_of_many_parts(self, sink: Sink) -> None:
        """A store may list the parts of an upload in pages, too."""
        size = (self.page_size + 1) * self.part_size
        if size > MOST_IN_PARTS:
            raise EndOfTest
        data = data_of(size + 7)
        await self._resume(sink, data, size + 1)

    @on_loop
    async def test_resume_after_release(self, sink: Sink) -> None:
        data = data_of(3 * self.part_size + 7)
        for written in (1, 2 * self.part_size + 1, len(data)):
            info = upload_info(len(data))
            writer = await self._open_info(sink, info)
            await self._write(writer, chunks_of(data[:written], CHUNK_SIZE))
            await self._flush(writer, written)
            checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
            await self._release(sink, writer)
            other = self._other(sink)
            resumed = await self._resumed(other, info, checkpoint, durable, written)
            file = await self._go_on(
                resumed, data, f"when it was released at {durable}, and resumed"
            )
            await self._delete(other, file)

    async def _release(self, sink: Sink, writer: SinkWriter) -> None:
        before = await self._in_store(sink)
        mend = "it must let go of memory and tasks only, and not ask the store."
        with self.failing_store(sink) or contextlib.nullcontext():
            for _ in range(2):
                with self._expect("release()", mend):
                    await writer.release()
        held = bytes_held(writer, beside=sink)
        assert held < self.part_size, (
            f"The writer still holds {held} bytes after release(): clear its buffers in it."
        )
        left = await self._in_store(sink)
        assert left == before, f"release() changed the store from {before} to {left}: {mend}"

    @on_loop
    async def test_resume_twice_from_one_checkpoint(self, sink: Sink) -> None:
        """The first one to go on may die before it takes a checkpoint of its own."""
        data = data_of(4 * self.part_size + 7)
        info, written = upload_info(len(data)), self.part_size + 1
        writer = await self._open_info(sink, info)
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
        file = await self._go_on(resumed, data, "when one checkpoint was resumed twice")
        await self._delete(second, file)

    @on_loop
    async def test_resume_and_abort(self, sink: Sink) -> None:
        info = upload_info(4 * self.part_size)
        writer = await self._open_info(sink, info)
        written = 2 * self.part_size
        await self._write(writer, [data_of(written)])
        await self._flush(writer, written)
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        other = self._other(sink)
        resumed = await self._resumed(other, info, checkpoint, durable, written)
        await self._abort(other, resumed, "resume()")
        if durable:
            await self._refuses(sink, info, checkpoint, "was aborted, and its bytes are gone")
        await self._let_go(writer)

    @on_loop
    async def test_resume_from_what_is_no_checkpoint(self, sink: Sink) -> None:
        data = data_of(2 * self.part_size + 7)
        info, written = upload_info(len(data)), self.part_size + 1
        writer = await self._open_info(sink, info)
        await self._write(writer, [data[:written]])
        checkpoint, durable = await self._checkpoint(sink, writer), writer.offset
        await self._refuses(sink, info, {}, "got what is no checkpoint of this sink")
        other_sinks = {"bucket": "media", "generation": [7, None], "path": "../../etc/passwd"}
        await self._refuses(sink, info, other_sinks, "got the checkpoint of another sink")
        for key, value in checkpoint.items():
            rest = {name: each for name, each in checkpoint.items() if name != key}
            await self._takes_or_refuses(sink, info, rest, f"without its {key!r}")
            if isinstance(value, str | int | list) and value:
                rest[key] = "another" if isinstance(value, str) else type(value)()
                await self._takes_or_refuses(sink, info, rest, f"with another {key!r}")
        await self._let_go(writer)
        other = self._other(sink)
        resumed = await self._resumed(other, info, checkpoint, durable, written)
        when = "when it was resumed after attempts with broken checkpoints"
        await self._delete(other, await self._go_on(resumed, data, when))

    async def _takes_or_refuses(
        self, sink: Sink, info: UploadInfo, checkpoint: dict[str, Any], what: str
    ) -> None:
        self._doing = "resume()"
        try:
            resumed = await sink.resume(info, checkpoint)
        except UploadError:
            return
        except Exception as exc:
            raise AssertionError(
                f"resume() from a checkpoint {what} must raise NotResumable, not {exc!r}."
            ) from exc
        await self._let_go(resumed)

    @pytest.mark.parametrize("checkpoint", ["before finish()", "after finish()"])
    @on_loop
    async def test_resume_what_was_finished(self, sink: Sink, checkpoint: str) -> None:
        data = data_of(2 * self.part_size + 7)
        info = upload_info(len(data))
        writer = await self._open_info(sink, info)
        await self._write(writer, chunks_of(data, CHUNK_SIZE))
        await self._flush(writer, len(data))
        leading = await self._checkpoint(sink, writer)
        first = await self._finish(writer, data)
        stored = await self._in_store(sink)
        if checkpoint == "after finish()":
            leading = await self._checkpoint(sink, writer)
        await sink.aclose()
        other = self._other(sink)
        when = f"when it was resumed from the checkpoint {checkpoint}"
        resumed = await self._resumed(other, info, leading, len(data), len(data))
        file = await self._go_on(resumed, data, when)
        again = await self._in_store(other)
        assert len(again) == len(stored), (
            f"finish() stored a second file {when}, {again} beside {stored}: look for the file in "
            "resume(), and return it."
        )
        self._tells_what_it_is(file, data, f" {when}")
        assert file.metadata == first.metadata, (
            f"The file's metadata is {file.metadata!r} {when}, and was {first.metadata!r}: it is "
            "the same file."
        )
        if checkpoint == "after finish()":
            await self._has(
                first,
                data,
                "for the process that finished it, when another one resumed it: leave what is "
                "finished where it is",
            )
            await asyncio.to_thread(first.close)
        await self._delete(other, file)
        if checkpoint == "after finish()":
            await self._refuses(other, info, leading, "was finished, and its file is deleted")
