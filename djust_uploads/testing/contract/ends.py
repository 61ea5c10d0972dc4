"""However a writer ends, nothing but a finished file is left, and the sink goes on."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from ...sinks.base import Sink, SinkWriter
from .faults import Interrupted, chunks_of, data_of, unreadable
from .harness import CHUNK_SIZE, Fault, SinkTests, expect, is_ours, on_loop, upload_info

#: Where to cancel a call: where it waits for the first time, the second, … One that waits more
#: often than it has kinds of waiting need not be cancelled at each.
CANCEL_AT = (1, 2, 3, 5, 8, 13, 21)


class Ends(SinkTests):
    # Ends

    @on_loop
    async def test_finish_twice(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, chunks_of(data, 1000))
        first = await self._finish(writer, data)
        stored = await self._in_store(sink)
        mend = "keep the file that the first call returned, and return it."
        with expect("finish(), called again,", mend):
            second = await self._finish(writer, data)
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
    async def test_a_write_that_fails(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data) + 1)
        await self._write(writer, [data])
        with pytest.raises(Exception):  # noqa: B017 (whatever the sink makes of it)
            await writer.write(unreadable())
            await writer.finish()
            pytest.fail("write() and finish() swallowed an error: let it pass, or translate it.")
        await self._abort(sink, writer, "a write() that failed")
        await self._still_works(sink, "a write() that failed")

    @pytest.mark.parametrize("call", ["open", "write", "finish", "abort"])
    @on_loop
    async def test_cancel_during(self, sink: Sink, call: str) -> None:
        for step in CANCEL_AT:
            if not await self._cancel_during(sink, call, step):
                break
        await self._still_works(sink, f"a cancelled {call}()")

    async def _cancel_during(self, sink: Sink, call: str, step: int) -> bool:
        """Whether there was something to cancel."""
        data = data_of(2 * self.part_size + 1)
        if call == "open":
            opening = Interrupted(sink.open(upload_info(len(data))), step)
            await opening.run()
            if opening.result:
                await opening.result.abort()
            await self._nothing_left(
                sink, "a cancelled open()", "delete what open() began, in 'except BaseException:'."
            )
            return opening.reached
        writer = await self._open(sink, len(data))
        if call != "write":
            await self._write(writer, [data])
        calls = {"write": lambda: writer.write(data), "finish": writer.finish}
        interrupted: Interrupted[Any] = Interrupted(calls.get(call, writer.abort)(), step)
        await interrupted.run()
        if call == "finish" and interrupted.result:
            await interrupted.result.adelete()
        await self._abort(sink, writer, f"a cancelled {call}()")
        return interrupted.reached

    # Faults of the store

    @pytest.mark.parametrize("call", ["open", "write", "finish", "abort"])
    @on_loop
    async def test_the_store_fails_during(self, sink: Sink, call: str) -> None:
        failing = self._failing(sink)
        data = data_of(self.part_size + 1)
        if call == "open":
            writer = await self._open_in(failing, sink)
        else:
            writer = await self._open(sink, len(data))
            await self._write(writer, [data] if call != "write" else [])
            await self._fail_in(failing, writer, call, data)
        await self._abort(sink, writer, f"{call}() failed")
        await self._nothing_left(sink, f"{call}() failed", "delete what the failed call stored.")
        await self._still_works(sink, f"{call}() failed")

    async def _open_in(self, failing: Fault, sink: Sink) -> SinkWriter:
        info = upload_info(1)
        with failing:
            try:
                return await sink.open(info)
            except Exception as exc:
                is_ours(exc, "open()")
        await self._nothing_left(sink, "open() failed", "delete what the failed call stored.")
        with expect("open(), called again after an error,", "it left something in its own way."):
            return await sink.open(info)

    async def _fail_in(self, failing: Fault, writer: SinkWriter, call: str, data: bytes) -> None:
        with failing:
            try:
                if call == "write":
                    await writer.write(data)
                await (writer.abort() if call == "abort" else writer.finish())
            except Exception as exc:
                is_ours(exc, f"{call}()")
            else:
                assert call != "write", (
                    "write() and finish() said nothing though the store failed: let its error "
                    "pass, as one of ours."
                )
        if call == "write":
            assert writer.offset == 0, (
                f"offset is {writer.offset} though the store took nothing: add to it after the "
                "store has answered."
            )

    def _failing(self, sink: Sink) -> Fault:
        context = self.failing_store(sink)
        assert context is not None, "failing_store() returned None: return a context manager."
        return context

    @on_loop
    async def test_finish_after_it_failed(self, sink: Sink) -> None:
        failing = self._failing(sink)
        data = data_of(2 * self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        with failing, contextlib.suppress(Exception):
            await writer.finish()
        mend = "drop nothing before the store has it, and go on where it failed."
        with expect("finish(), called again after an error,", mend):
            file = await self._finish(writer, data)
        await self._has(file, data, "when finish() failed once")
        await self._delete(sink, file)

    @on_loop
    async def test_finish_after_flush_failed(self, sink: Sink) -> None:
        failing = self._failing(sink)
        data = data_of(2 * self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        with failing:
            try:
                await writer.flush()
            except Exception as exc:
                is_ours(exc, "flush()")
        mend = "drop nothing before the store has it."
        with expect("finish() after a flush() that failed", mend):
            file = await self._finish(writer, data)
        await self._has(file, data, "when flush() failed before")
        await self._delete(sink, file)
