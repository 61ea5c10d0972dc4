"""A sink notices bytes that its store has lost, and bytes that somebody has added."""

from __future__ import annotations

import pytest

from ...sinks.base import Sink, SinkWriter
from .content import chunks_of, data_of, upload_info
from .harness import on_loop, result_of
from .steps import SinkTests, read

#: What is done to each thing that is stored: bytes that are added to it.
CHANGES = {"shorter": -1, "longer": 1}


class Damage(SinkTests):
    @pytest.mark.parametrize("change", CHANGES)
    @on_loop
    async def test_damage_is_found_by_the_writer(self, sink: Sink, change: str) -> None:
        data = data_of(2 * self.part_size)
        writer = await self._written(sink, data, len(data))
        await result_of(self.damage_store(sink, CHANGES[change]))
        await self._finds_it(sink, writer, data, len(data), change)
        if change == "shorter":
            writer = await self._written(sink, data, self.part_size)
            # A writer that counts nothing as stored has promised nothing.
            if writer.offset:
                await result_of(self.damage_store(sink, CHANGES[change]))
                await self._finds_it(sink, writer, data, self.part_size, change)
            else:
                await self._abort(sink, writer, "write()")

    @pytest.mark.parametrize("finished", [False, True], ids=["unfinished", "finished"])
    @pytest.mark.parametrize("change", CHANGES)
    @on_loop
    async def test_damage_is_found_by_resume(self, sink: Sink, change: str, finished: bool) -> None:
        data = data_of(2 * self.part_size)
        info = upload_info(len(data))
        writer = await self._open_info(sink, info)
        await self._write(writer, [data])
        await self._flush(writer, len(data))
        checkpoint = await self._checkpoint(sink, writer)
        file = await self._finish(writer, data) if finished else None
        if writer.offset:
            await result_of(self.damage_store(sink, CHANGES[change]))
            other = self._other(sink)
            await self._refuses(other, info, checkpoint, f"has become {change} in the store")
        if file:
            await self._delete(sink, file)
        else:
            await self._abort(sink, writer, "its bytes were damaged")

    async def _written(self, sink: Sink, data: bytes, end: int) -> SinkWriter:
        writer = await self._open(sink, len(data))
        await self._write(writer, chunks_of(data[:end], self.part_size))
        await self._flush(writer, end)
        return writer

    async def _finds_it(
        self, sink: Sink, writer: SinkWriter, data: bytes, written: int, change: str
    ) -> None:
        """Write the rest and finish: an error says that the file would be wrong, or it is right."""
        self._doing = "write() or finish()"
        try:
            for chunk in chunks_of(data[written:], self.part_size):
                await writer.write(chunk)
            file = await writer.finish()
        except Exception as exc:
            self._is_ours(exc, "write() or finish()")
            await self._abort(sink, writer, "its bytes were damaged")
            return
        with self._expect("Reading the file", "its bytes were damaged before its finish()."):
            content = await read(file)
        assert content == data, (
            f"finish() returned a file though its bytes had become {change} in the store: compare "
            "what the store has with upload.size, and raise SinkError."
        )
        await self._delete(sink, file)
