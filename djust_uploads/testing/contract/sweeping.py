"""What a process that crashed leaves behind is swept away, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ...sinks.base import Sink, SinkWriter
from .content import data_of
from .harness import on_loop, result_of
from .steps import SinkTests, is_gone

_A_DAY = timedelta(days=1)
#: Nothing in the store is older than the test, so this is the only age that something has.
_MOMENT = timedelta(seconds=0.2)
_AGES = {"a day": _A_DAY, "an hour": timedelta(hours=1), "a minute": timedelta(minutes=1)}


class Sweeping(SinkTests):
    async def _abandoned(self, sink: Sink) -> SinkWriter:
        """An upload on its way whose process has crashed."""
        data = data_of(2 * self.part_size + 1)
        writer = await self._open(sink, len(data) + 1)
        await self._write(writer, [data])
        with self._expect("flush()", "nothing is wrong with the store."):
            await writer.flush()
        return writer

    @on_loop
    async def test_sweep_takes_what_is_old_enough(self, sink: Sink) -> None:
        abandoned = await self._abandoned(sink)
        # A file that waits for the application may be found in another way than an unfinished one.
        waiting = await self._store(sink, data_of(self.part_size + 1))
        left = await self._in_store(sink)
        for of_age, age in _AGES.items():
            young = await self._sweep(sink, age)
            # What a writer sends in the background may appear meanwhile.
            assert not young and left <= await self._in_store(sink), (
                f"sweep() of what is {of_age} old took {young}, which is new: compare the age, "
                "in older_than.total_seconds()."
            )
        left = await self._in_store(sink)
        names = await self._sweep(sink, dry_run=True)
        assert left <= await self._in_store(sink), (
            "sweep(dry_run=True) deleted something: it must only return the names."
        )
        assert names or not left, (
            f"sweep(dry_run=True) named nothing, and {sorted(left)} is in the store: return the "
            "names of what sweep() would delete."
        )
        swept = await self._sweep(sink)
        assert set(names) <= set(swept), f"sweep() took {swept}; with dry_run it named {names}."
        if not self.sweeps_unconsumed:
            await self._remove(waiting)
        await self._nothing_left(
            sink, "sweep()", "sweep() must delete what a process that crashed left unfinished."
        )
        again = await self._sweep(sink)
        assert not set(again) & set(swept), f"sweep() returned {again} twice: it was gone."
        await self._abort(sink, abandoned, "a sweep()")
        await self._remove(waiting)

    @on_loop
    async def test_sweep_compares_ages(self, sink: Sink) -> None:
        abandoned = await self._abandoned(sink)
        # What this sink finds at all is tested by the test before.
        if await self._sweep(sink, dry_run=True):
            await asyncio.sleep(1.5 * _MOMENT.total_seconds())
            await self._sweep(sink, _MOMENT)
            await self._nothing_left(
                sink,
                f"sweep() of what is {_MOMENT.total_seconds()} s old, and all is older",
                "compare ages in seconds, with older_than.total_seconds().",
            )
        await self._abort(sink, abandoned, "a sweep()")

    @on_loop
    async def test_sweep_from_another_process(self, sink: Sink) -> None:
        """The process that wrote has crashed: a sweep can know nothing that is not in the store."""
        abandoned = await self._abandoned(sink)
        if not await self._sweep(sink, dry_run=True):
            # What this sink leaves behind is tested by the test before.
            await abandoned.abort()
            return
        other = self._other(sink)
        await self._sweep(other)
        await self._nothing_left(
            other,
            "the sweep() of another process",
            "look in the store for what crashed processes left, and not in the sink's memory.",
        )
        await self._abort(sink, abandoned, "the sweep() of another process")

    @on_loop
    async def test_sweep_takes_more_than_a_page(self, sink: Sink) -> None:
        count = self.page_size + 1
        size = await self._least_that_is_stored(sink)
        abandoned = [await self._open(sink, size + 1) for _ in range(count)]
        for writer in abandoned:
            await self._write(writer, [data_of(size)])
            await self._flush(writer, size)
        await self._sweep_all(sink, f"{count} unfinished uploads")
        for writer in abandoned:
            with self._expect("abort() after a sweep()", "what is gone already is no error."):
                await writer.abort()
        await self._nothing_left(sink, f"{count} times abort()", "delete what the upload stored.")

    @on_loop
    async def test_sweep_takes_more_than_a_page_of_files(self, sink: Sink) -> None:
        files = [await self._store(sink, b"x") for _ in range(self.page_size + 1)]
        if self.sweeps_unconsumed:
            await self._sweep_all(sink, f"{len(files)} files that nobody consumed")
        for file in files:
            await self._remove(file)
        await self._nothing_left(sink, "adelete() of all files", "delete what the upload stored.")

    async def _least_that_is_stored(self, sink: Sink) -> int:
        """How many bytes an unfinished upload needs before there is anything of it in the store."""
        writer = await self._open(sink, 2)
        await self._write(writer, [b"x"])
        await self._flush(writer, 1)
        is_stored = await self._in_store(sink)
        await self._abort(sink, writer, "a byte")
        return 1 if is_stored else self.part_size + 1

    async def _sweep_all(self, sink: Sink, what: str) -> None:
        names = await self._sweep(sink, dry_run=True)
        if not names:
            # That it must find something is for other tests to say.
            return
        swept = await self._sweep(sink)
        assert set(swept) >= set(names), f"sweep() took {swept}; with dry_run {names}."
        await self._nothing_left(
            sink,
            f"the sweep() of {what}",
            "go on with the store's next page until there is none.",
        )

    @on_loop
    async def test_sweep_spares_what_is_kept(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        await self._keep(file)
        other = self._other(sink)
        # Elsewhere akeep() changes nothing.
        if sink.keeps_files:
            for each in (sink, other):
                await self._sweep(each)
        assert not await is_gone(file), (
            "sweep() deleted a file that was consumed: mark what is not, and take the mark away in "
            "the file's akeep()."
        )
        await self._has(file, data, "when it was consumed and a sweep came by")
        await self._delete(sink, file)

    @on_loop
    async def test_sweep_spares_what_is_new(self, sink: Sink) -> None:
        """What is on its way, and what waits for the application, goes on after a sweep."""
        data = data_of(2 * self.part_size + 1)
        waiting = await self._store(sink, data)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data[:-1]])
        await self._sweep(self._other(sink), _A_DAY)
        await self._write(writer, [data[-1:]], start=len(data) - 1)
        on_its_way = await self._finish(writer, data, "sweep() must leave alone what is new.")
        for file in (waiting, on_its_way):
            await self._has(file, data, "when a sweep of older uploads came by: compare the age")
            await self._remove(file)
        await self._nothing_left(sink, "adelete()", "delete all that finish() stored.")

    @pytest.mark.parametrize("rest", [0, 1], ids=["whole parts", "a part and a byte"])
    @on_loop
    async def test_finish_of_what_was_swept(self, sink: Sink, rest: int) -> None:
        """An upload took longer than the age of what is swept."""
        data = data_of(2 * self.part_size + rest)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        await self._flush(writer, len(data))
        await self._sweep(self._other(sink))
        self._doing = "finish()"
        try:
            file = await writer.finish()
        except Exception as exc:
            self._is_ours(exc, "finish() of an upload that was swept")
            await self._abort(sink, writer, "a finish() that failed")
        else:
            await self._has(
                file,
                data,
                "when it was swept before its finish(): ask the store in finish() whether it has "
                "all bytes, and raise SinkError if not",
            )
            await self._delete(sink, file)

    @on_loop
    async def test_sweep_spares_what_others_stored(self, sink: Sink) -> None:
        await result_of(self.store_something_else(sink))
        theirs = await self._in_store(sink)
        abandoned = await self._abandoned(sink)
        await self._sweep(sink)
        left = await self._in_store(sink)
        await self._abort(sink, abandoned, "a sweep()") if not theirs else await abandoned.abort()
        assert theirs <= left, (
            f"sweep() deleted {sorted(theirs - left)}, which is no upload: take only what the sink "
            "itself has marked, or named so that nobody else does."
        )

    @on_loop
    async def test_two_sweeps_at_once(self, sink: Sink) -> None:
        """As when two machines have one cron table."""
        abandoned = [await self._abandoned(sink) for _ in range(3)]
        if await self._sweep(sink, dry_run=True):
            other = self._other(sink)
            await asyncio.gather(self._sweep(sink), self._sweep(other))
            await self._nothing_left(sink, "two sweeps at once", "what is gone is no error.")
        for writer in abandoned:
            with self._expect("abort() after a sweep()", "what is gone already is no error."):
                await writer.abort()

    @on_loop
    async def test_sweep_takes_what_was_never_consumed(self, sink: Sink) -> None:
        file = await self._store(sink, data_of(self.part_size + 1))
        stored = await self._in_store(sink)
        names = await self._sweep(self._other(sink), dry_run=True)
        await self._sweep(self._other(sink))
        await self._nothing_left(
            sink, "a crash before the file was consumed", "mark it until akeep(), for sweep()."
        )
        assert names or not stored, (
            "sweep(dry_run=True) did not name a file that nobody consumed: return the names of all "
            "that sweep() would delete."
        )
        with self._expect("adelete() after a sweep()", "what is gone already is no error."):
            await file.adelete()
