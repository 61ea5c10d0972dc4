"""Uploads leave nothing of the process behind: no task, no thread, no descriptor, no memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ...files import SinkFile
from ...sinks.base import Sink
from .content import CHUNK_SIZE, data_of, upload_info
from .harness import on_loop
from .held import bytes_held
from .steps import SinkTests

#: How many uploads are made at once, and how many things left behind are one for each.
UPLOADS = 10

#: Where the system lists the process's descriptors, if it does.
_DESCRIPTORS = next(filter(Path.is_dir, map(Path, ("/proc/self/fd", "/dev/fd"))), None)

_MEND = {
    "tasks": "end the tasks that an upload began, in each of its ends, and wait for them.",
    "threads": "let all uploads share a pool of threads, or end a thread with its upload.",
    "writers": "keep no list of them in the sink, and take a callback away when its upload ends.",
    "descriptors": "close the files and the connections of an upload, in each of its ends.",
}


class Resources(SinkTests):
    @pytest.mark.parametrize("end", ["finish", "abort", "release", "failure"])
    @on_loop
    async def test_uploads_leave_nothing_in_the_process(self, sink: Sink, end: str) -> None:
        ways: dict[str, Callable[[Sink], Awaitable[None]]] = {
            "finish": self._finished,
            "abort": self._aborted,
            "release": self._released,
            "failure": self._failed,
        }
        # Pools and connections that uploads share are made by the first ones.
        await self._all_at_once(sink, ways[end])
        after = await self._settled()
        # A pool grows once or twice, and a leak each time.
        for _ in range(3):
            before = after
            await self._all_at_once(sink, ways[end])
            after = await self._settled(at_most=before)
            more = {what: after[what] - before[what] for what in _MEND}
            if max(more.values()) < UPLOADS:
                break
        for what, mend in _MEND.items():
            assert more[what] < UPLOADS, (
                f"{UPLOADS} uploads that ended by {end} left {more[what]} {what} behind: {mend}"
            )
        await self._nothing_left(sink, "all uploads", "delete what an upload stored.")
        await self._still_works(sink, f"{2 * UPLOADS} uploads that ended by {end}")

    async def _all_at_once(self, sink: Sink, way: Callable[[Sink], Awaitable[None]]) -> None:
        await asyncio.gather(*(way(sink) for _ in range(UPLOADS)))
        # One after the other: the store fails for all at once.
        for _ in range(UPLOADS if way == self._failed else 0):
            await self._fail_one(sink)

    async def _settled(self, at_most: dict[str, int] | None = None) -> dict[str, int]:
        """Count when what ends by itself has ended."""
        found: dict[str, int] = {}
        gc.collect()
        for _ in range(50 if at_most else 10):
            found = self._used()
            if at_most and all(found[what] <= at_most[what] for what in found):
                break
            await asyncio.sleep(0.01)
        return found

    def _used(self) -> dict[str, int]:
        """How many of each the process has now. Threads of asyncio's own pool are nobody's."""
        threads = [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]
        return {
            "tasks": len(self._driver.tasks),
            "threads": len(threads),
            "writers": len(self._writers),
            "descriptors": len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS else 0,
        }

    async def _finished(self, sink: Sink) -> None:
        file = await self._store(sink, data_of(self.part_size + 1))
        await file.aread()
        await asyncio.to_thread(file.close)
        await self._remove(file)

    async def _aborted(self, sink: Sink) -> None:
        writer = await self._open(sink, 2 * self.part_size)
        await self._write(writer, [data_of(self.part_size + 1)])
        with self._expect("abort()", "nothing is wrong with the store."):
            await writer.abort()

    async def _released(self, sink: Sink) -> None:
        info = upload_info(2 * self.part_size)
        writer = await self._open_info(sink, info)
        await self._write(writer, [data_of(self.part_size + 1)])
        checkpoint = await self._checkpoint_if_any(writer)
        with self._expect("release()", "it needs no store, so it can't fail."):
            await writer.release()
        if checkpoint is None:
            # Nobody can go on with it. Some sinks hold more than memory for an unfinished upload.
            with self._expect("abort()", "it must work at any time."):
                await writer.abort()
            return
        resumed = await self._resumed(sink, info, checkpoint, 0, self.part_size + 1)
        with self._expect("abort()", "nothing is wrong with the store."):
            await resumed.abort()

    async def _failed(self, sink: Sink) -> None:
        """A call that is cancelled, and one whose store fails where the test can make it fail."""
        writer = await self._open(sink, 2 * self.part_size)
        writing = asyncio.ensure_future(_as_coroutine(writer.write(data_of(2 * self.part_size))))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        with self._expect("abort() after a cancelled write()", "it must work at any time."):
            await writer.abort()

    async def _fail_one(self, sink: Sink) -> None:
        writer = await self._open(sink, 2 * self.part_size)
        with self.failing_store(sink) or contextlib.nullcontext():
            try:
                await writer.write(data_of(2 * self.part_size))
                await writer.finish()
            except Exception as exc:
                self._is_outage(exc, "write() or finish()")
        with self._expect("abort() after an error", "it must work at any time."):
            await writer.abort()

    @on_loop
    async def test_aclose_leaves_nothing_in_the_process(self, sink: Sink) -> None:
        before = await self._settled()
        await asyncio.gather(*(self._finished(sink) for _ in range(UPLOADS)))
        with self._expect("aclose()", "close what is open."):
            await sink.aclose()
        after = await self._settled(at_most=before)
        for what in _MEND:
            more = after[what] - before[what]
            # Of clients that ten uploads have made at once, nine may be forgotten. Threads may be
            # the program's.
            assert more < (UPLOADS if what == "threads" else UPLOADS // 2), (
                f"{UPLOADS} uploads at once and then aclose() left {more} {what} behind: close in "
                "it what the uploads shared, and let them make it once."
            )

    # Memory

    @on_loop
    async def test_memory_does_not_grow_with_the_file(self, sink: Sink) -> None:
        """Bytes that the writer holds in memory although the store could have them."""
        most = self._most_buffered
        size = most + 4 * self.part_size
        writer = await self._open(sink, size)
        written = 0
        # Shorter and longer than a part, and never just a part.
        for length in itertools.cycle([CHUNK_SIZE - 1, self.part_size + 1, 2 * self.part_size + 1]):
            # Each chunk is another object, or they would be one buffer.
            chunk = bytes(min(length, size - written))
            await self._write(writer, [chunk], written)
            written += len(chunk)
            if written == size:
                break
        # What is in the store is no memory of the writer, though the store may be in this process.
        missing = written - writer.offset
        held = min(missing, bytes_held(writer, beside=sink))
        assert held <= most, (
            f"The writer holds {held} bytes in memory when {written} were written, and may hold "
            f"{most} ('max_buffered'): let write() wait until the store has taken a part, that "
            "is what slows the browser down."
        )
        await self._abort(sink, writer, f"{size} bytes")

    # More than one event loop

    def test_second_event_loop(self, sink: Sink) -> None:
        """As under a server that begins a new one, or in a management command."""
        data = data_of(self.part_size + 1)
        file = self._run(self._store_and_close(sink, data))
        with self._new_runner():
            self._run(self._use_again(sink, file, data))
        self._run(self._still_works(sink, "another event loop"))

    async def _store_and_close(self, sink: Sink, data: bytes) -> SinkFile:
        file = await self._store_three(sink, data)
        with self._expect("aclose()", "close what this event loop has opened."):
            await sink.aclose()
        return file

    async def _store_three(self, sink: Sink, data: bytes) -> SinkFile:
        """Three at once, so that they meet at the sink's locks. The first one stays."""
        files = await asyncio.gather(*(self._store(sink, data) for _ in range(3)))
        for file in files[1:]:
            await self._remove(file)
        return files[0]

    async def _use_again(self, sink: Sink, file: SinkFile, data: bytes) -> None:
        mend = (
            "let aclose() drop what belongs to one event loop: connections, locks, queues and "
            "tasks; make them anew when they are used."
        )
        with self._expect("A second event loop, after aclose(),", mend):
            await self._has(file, data, "on another event loop")
            await file.adelete()
            writer = await sink.open(upload_info(len(data)))
            await writer.write(data)
            await (await writer.finish()).adelete()
        try:
            await self._delete(sink, await self._store_three(sink, data))
        except AssertionError as exc:
            raise AssertionError(f"On a second event loop: {exc} Perhaps {mend}") from exc
        with self._expect("aclose()", mend):
            await sink.aclose()


async def _as_coroutine(call: Awaitable[None]) -> None:
    await call
