"""What a process that crashed leaves behind is swept away, and nothing else."""

from __future__ import annotations

from datetime import timedelta

from ...sinks.base import Sink
from .faults import data_of
from .harness import EVERYTHING, SinkTests, is_gone, on_loop


class Sweeping(SinkTests):
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
