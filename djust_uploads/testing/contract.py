"""What a sink promises, as tests. They need pytest, and nothing else: no plugin, no async tests.

::

    class TestFolderSink(SinkContract):
        @pytest.fixture
        def sink(self, tmp_path):
            self.folder = tmp_path
            return FolderSink(tmp_path)

        def leftovers(self, sink):
            return [path.name for path in self.folder.iterdir()]

Every test uses a new sink on an event loop of its own. Each failure says what to mend.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest

from ..exceptions import UploadError
from ..sinks.base import Sink, SinkWriter
from .faults import Interrupted, chunks_of, data_of, ragged, unreadable
from .harness import (
    CHUNK_SIZE,
    EVERYTHING,
    SinkTests,
    in_thread,
    is_gone,
    on_loop,
    read_tail,
    upload_info,
)

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

#: Where to cancel a call: where it waits for the first time, the second, … One that waits more
#: often than it has kinds of waiting need not be cancelled at each.
CANCEL_AT = (1, 2, 3, 5, 8, 13, 21)


class SinkContract(SinkTests):
    """Subclass it, name the subclass ``Test…``, and give it the fixture ``sink``.

    What else it can be told: ``part_size``, ``resumable``, ``sweeps_unconsumed``, ``leftovers()``,
    ``failing_store()`` and ``another_process()``.
    """

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

    # The file

    @on_loop
    async def test_file_tells_what_it_is(self, sink: Sink) -> None:
        data = data_of(1000)
        file = await self._store(sink, data)
        info = upload_info(len(data))
        assert file.size == len(data), (
            f"The file's size is {file.size!r}: give SinkFile.__init__ the bytes, {len(data)}."
        )
        assert file.content_type == info.content_type, (
            f"The file's content_type is {file.content_type!r}: pass on upload.content_type, "
            f"{info.content_type!r}."
        )
        name = str(file.name)
        assert name.endswith(info.safe_client_name) and ".." not in name and name[0] != "/", (
            f"The file's name is {name!r}: end it in upload.safe_client_name, and never use "
            "client_name."
        )
        json.dumps(file.metadata)
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_read_again(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        for when in ("at first", "when it is read again"):
            await self._has(file, data, when)
        await asyncio.to_thread(file.close)
        await self._has(file, data, "when it was closed and is opened again")
        assert await in_thread(lambda: b"".join(file.chunks(1000))) == data, (
            "chunks() gave other bytes than read(): open_stored() must return a new seekable "
            "stream, at 0."
        )
        assert await in_thread(lambda: read_tail(file, 10)) == data[-10:], (
            "seek() from the end and read() gave other bytes: open_stored() must return a stream "
            "that can seek, as zipfile and Pillow do."
        )
        await self._delete(sink, file)

    @on_loop
    async def test_file_is_read_by_async_code(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1000)
        file = await self._store(sink, data)
        assert await file.aread() == data, "aread() gave other bytes than were written."
        chunks = [chunk async for chunk in file.achunks(1000)]
        assert b"".join(chunks) == data, "achunks() gave other bytes than were written."
        await asyncio.to_thread(file.close)
        await self._delete(sink, file)

    @on_loop
    async def test_delete(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        await self._delete(sink, file)
        assert await is_gone(file), (
            "The file can be read after adelete(): delete the stored bytes in it."
        )
        try:
            await file.adelete()
        except Exception as exc:
            raise AssertionError(
                f"adelete() raised {exc!r} when it was called again: what is gone is no error."
            ) from exc
        try:
            await file.akeep()
        except Exception as exc:
            raise AssertionError(
                f"akeep() raised {exc!r} when the file was deleted: an event handler may delete "
                "what it consumes."
            ) from exc

    # Ends

    @on_loop
    async def test_finish_twice(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, chunks_of(data, 1000))
        first = await self._finish(writer, data)
        stored = await self._in_store(sink)
        try:
            second = await self._finish(writer, data)
        except Exception as exc:
            raise AssertionError(
                f"finish() raised {exc!r} when it was called again: keep the file that the first "
                "call returned, and return it."
            ) from exc
        await self._has(second, data, "when finish() is called again")
        assert await self._in_store(sink) == stored and second.name == first.name, (
            "finish() stored a second file when it was called again: keep the file that the first "
            "call returned, and return it."
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
        await self._still_works(sink, "a write() failed")

    async def _still_works(self, sink: Sink, since: str) -> None:
        data = data_of(self.part_size + 2)
        try:
            file = await self._store(sink, data)
        except UploadError as exc:
            raise AssertionError(
                f"The sink takes no file since {since}: {exc}. An error ends its own upload only."
            ) from exc
        await self._has(file, data, f"since {since}")
        await self._delete(sink, file)

    @pytest.mark.parametrize("call", ["open", "write", "finish", "abort"])
    @on_loop
    async def test_cancel_during(self, sink: Sink, call: str) -> None:
        for step in CANCEL_AT:
            if not await self._cancel_during(sink, call, step):
                break
        await self._still_works(sink, f"{call}() was cancelled")

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
        data = data_of(self.part_size + 1)
        if call == "open":
            writer = await self._open_with_failing_store(sink)
        else:
            writer = await self._open(sink, len(data))
            await self._write(writer, [data] if call != "write" else [])
            await self._fail(sink, writer, call, data)
        if writer:
            await self._abort(sink, writer, f"{call}() failed")
        await self._nothing_left(sink, f"{call}() failed", "delete what the failed call stored.")
        await self._still_works(sink, f"{call}() failed")

    async def _open_with_failing_store(self, sink: Sink) -> SinkWriter | None:
        with self._failing(sink):
            try:
                return await sink.open(upload_info(1))
            except Exception as exc:
                self._is_ours(exc, "open")
                return None

    async def _fail(self, sink: Sink, writer: SinkWriter, call: str, data: bytes) -> None:
        with self._failing(sink):
            try:
                if call == "write":
                    await writer.write(data)
                await (writer.abort() if call == "abort" else writer.finish())
            except Exception as exc:
                self._is_ours(exc, call)
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

    def _failing(self, sink: Sink) -> contextlib.AbstractContextManager[Any]:
        context = self.failing_store(sink)
        if context is None:
            pytest.skip("Override failing_store() to test what becomes of the store's errors.")
        return context

    def _is_ours(self, exc: Exception, call: str) -> None:
        assert isinstance(exc, UploadError), (
            f"{call}() raised the store's own {exc!r}: raise SinkUnavailable, SinkError or what "
            "fits of djust_uploads.exceptions, 'from exc'."
        )

    @on_loop
    async def test_finish_after_it_failed(self, sink: Sink) -> None:
        data = data_of(2 * self.part_size + 1)
        writer = await self._open(sink, len(data))
        await self._write(writer, [data])
        with self._failing(sink), contextlib.suppress(Exception):
            await writer.finish()
        try:
            file = await self._finish(writer, data)
        except UploadError as exc:
            raise AssertionError(
                f"finish() raised {exc!r} when it was called again after an error: drop nothing "
                "before the store has it, and go on where it failed."
            ) from exc
        await self._has(file, data, "when finish() failed once")
        await self._delete(sink, file)

    # More than one

    @on_loop
    async def test_two_writers_at_once(self, sink: Sink) -> None:
        ours, theirs = data_of(3 * self.part_size + 1), data_of(3 * self.part_size + 2)
        writers = [await self._open(sink, len(data)) for data in (ours, theirs)]
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
        await files[0].adelete()
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
        await other.abort()
        await self._write(writer, chunks[2:], start=2 * self.part_size)
        file = await self._finish(writer, data)
        await self._has(file, data, "when another writer was aborted meanwhile")
        await self._delete(sink, file)

    # Checkpoints

    async def _suspended(self, sink: Sink, writer: SinkWriter) -> dict[str, Any]:
        """The checkpoint, as it comes out of a cache. Skips the test of a sink that has none."""
        checkpoint = await writer.checkpoint()
        if checkpoint is None:
            await writer.abort()
            assert not self.resumable, (
                "checkpoint() returned None, though the test says 'resumable': return what "
                "resume() needs, or take 'resumable' away."
            )
            await self._refuses(sink, {}, "has no checkpoints: leave resume() to Sink")
            pytest.skip("The sink is not resumable.")
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
        if not sink.keeps_files:
            pytest.skip("The sink keeps no files.")
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        await file.akeep()
        await sink.sweep(EVERYTHING)
        assert not await is_gone(file), (
            "sweep() deleted a file that was consumed: mark what is not, and take the mark away in "
            "the file's akeep()."
        )
        await self._has(file, data, "when it was consumed and a sweep came by")
        await self._delete(sink, file)

    @on_loop
    async def test_sweep_takes_what_was_never_consumed(self, sink: Sink) -> None:
        if not self.sweeps_unconsumed:
            pytest.skip("Something else than sweep() takes them.")
        file = await self._store(sink, data_of(self.part_size + 1))
        await sink.sweep(EVERYTHING)
        await self._nothing_left(
            sink, "a crash before the file was consumed", "mark it until akeep(), for sweep()."
        )
        await file.adelete()

    # The sink

    @on_loop
    async def test_works_after_aclose(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        file = await self._store(sink, data)
        await sink.aclose()
        await sink.aclose()
        await self._has(file, data, "when the sink was closed")
        await self._delete(sink, file)
        try:
            await self._still_works(sink, "aclose()")
        except RuntimeError as exc:
            raise AssertionError(
                f"The sink raised {exc!r} when it was used after aclose(): open connections when "
                "they are used first, again after aclose()."
            ) from exc

    @on_loop
    async def test_blocks_no_event_loop(self, sink: Sink) -> None:
        blockbuster = pytest.importorskip("blockbuster")
        data = data_of(2 * self.part_size + 1)
        # The first time imports modules, which reads files.
        await self._upload_read_delete(sink, data)
        try:
            with blockbuster.blockbuster_ctx():
                await self._upload_read_delete(sink, data)
        except Exception as exc:
            cause: BaseException | None = exc
            while cause and not isinstance(cause, blockbuster.BlockingError):
                cause = cause.__cause__ or cause.__context__
            if not cause:
                raise
            raise AssertionError(
                f"{cause} on the event loop, where every other socket waits for it: use an async "
                "library, or asyncio.to_thread()."
            ) from exc

    async def _upload_read_delete(self, sink: Sink, data: bytes) -> None:
        writer = await sink.open(upload_info(len(data)))
        await writer.write(data)
        await writer.checkpoint()
        file = await writer.finish()
        assert await file.aread() == data
        await asyncio.to_thread(file.close)
        await file.akeep()
        await file.adelete()
        writer = await sink.open(upload_info(len(data)))
        await writer.write(data)
        await writer.abort()
        await sink.sweep(timedelta(days=1))
