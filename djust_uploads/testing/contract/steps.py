"""Uploads in steps that hold what each call promises."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from ...exceptions import NotResumable
from ...files import SinkFile
from ...sinks.base import Sink, SinkWriter, UploadInfo
from .content import CHUNK_SIZE, chunks_of, data_of, difference, upload_info
from .harness import EVERYTHING, EndOfTest, Harness

T = TypeVar("T")

_WELL = "nothing is wrong with the store."


class SinkTests(Harness):
    """The steps of which the tests consist. Each one asserts what the call promises."""

    # A new upload

    async def _open(self, sink: Sink, size: int) -> SinkWriter:
        return await self._open_info(sink, upload_info(size))

    async def _open_info(self, sink: Sink, info: UploadInfo) -> SinkWriter:
        with self._expect("open()", _WELL):
            writer = await sink.open(info)
        return self._is_new(writer)

    def _is_new(self, writer: SinkWriter) -> SinkWriter:
        assert isinstance(writer, SinkWriter), (
            f"open() must return a new SinkWriter. Got: {writer!r}"
        )
        self._note(writer)
        assert writer.offset == 0, (
            f"A new writer's offset is 0, not {writer.offset}: set it in the writer's __init__, "
            "not on the class or the sink."
        )
        return writer

    def _note(self, writer: SinkWriter) -> None:
        # One with __slots__ can't be watched.
        with contextlib.suppress(TypeError):
            self._writers.add(writer)

    async def _write(self, writer: SinkWriter, chunks: Iterable[Any], start: int = 0) -> None:
        written = start
        for chunk in chunks:
            before = writer.offset
            with self._expect("write()", _WELL):
                await writer.write(chunk)
            written += len(chunk)
            assert writer.offset <= written, (
                f"offset is {writer.offset} when {written} bytes were written: add to it only "
                "what the store has taken."
            )
            assert writer.offset >= before, (
                f"write() took offset back from {before} to {writer.offset}: it must never go back."
            )

    async def _flush(self, writer: SinkWriter, written: int) -> None:
        before = writer.offset
        with self._expect("flush()", "what the store does not take now may stay in the writer."):
            await writer.flush()
        assert before <= writer.offset <= written, (
            f"flush() moved offset from {before} to {writer.offset} when {written} bytes were "
            "written: add to it only what the store has taken by it."
        )

    async def _finish(self, writer: SinkWriter, data: bytes, mend: str = _WELL) -> SinkFile:
        mend = mend if data else f"{mend} For an empty file, write() is never called."
        with self._expect("finish()", mend):
            file = await writer.finish()
        assert isinstance(file, SinkFile), f"finish() must return a SinkFile. Got: {file!r}"
        assert writer.offset == len(data), (
            f"offset is {writer.offset} after finish() of {len(data)} bytes: everything is stored "
            "then, so set it to the size."
        )
        return file

    async def _store(
        self, sink: Sink, data: bytes, chunks: Iterable[bytes] | None = None
    ) -> SinkFile:
        writer = await self._open(sink, len(data))
        await self._write(writer, chunks_of(data, CHUNK_SIZE) if chunks is None else chunks)
        return await self._finish(writer, data)

    # Its end

    async def _has(self, file: SinkFile, data: bytes, when: str) -> None:
        with self._expect("Reading the file", f"it must be there {when}."):
            content = await read(file)
        assert content == data, (
            f"The file is wrong {when}: {difference(content, data)}. Store each chunk once, in "
            "order, and what is left in finish()."
        )

    async def _remove(self, file: SinkFile) -> None:
        with self._expect("adelete()", _WELL):
            await file.adelete()

    async def _keep(self, file: SinkFile) -> None:
        with self._expect("akeep()", _WELL):
            await file.akeep()

    async def _delete(self, sink: Sink, file: SinkFile) -> None:
        await self._remove(file)
        await self._nothing_left(
            sink, "adelete()", "delete all that finish() stored, in the file's adelete()."
        )

    async def _abort(self, sink: Sink, writer: SinkWriter, after: str) -> None:
        mend = "it must work at any time, any number of times; what is gone already is no error."
        with self._expect(f"abort() after {after}", mend):
            await writer.abort()
        await self._nothing_left(
            sink, f"abort() after {after}", "abort() must delete all that the writer stored."
        )

    async def _still_works(self, sink: Sink, since: str) -> None:
        data = data_of(self.part_size + 2)
        with self._expect(f"An upload after {since}", "an error ends its own upload only."):
            writer = await sink.open(upload_info(len(data)))
            await writer.write(data)
            file = await writer.finish()
        await self._has(file, data, f"after {since}")
        await self._delete(sink, file)

    async def _sweep(
        self, sink: Sink, older_than: timedelta = EVERYTHING, *, dry_run: bool = False
    ) -> list[str]:
        mend = "it takes older_than and dry_run by their names; what is gone is no error."
        with self._expect("sweep()", mend):
            names = await sink.sweep(older_than=older_than, dry_run=dry_run)
        assert isinstance(names, list) and all(isinstance(name, str) for name in names), (
            f"sweep() must return a list of names. Got: {names!r}"
        )
        return names

    # From one process to another

    async def _checkpoint(self, sink: Sink, writer: SinkWriter) -> dict[str, Any]:
        """The checkpoint, as it comes out of a cache. Of a sink that has none, it asks only that it
        says so in every way."""
        checkpoint = await self._checkpoint_if_any(writer)
        if checkpoint is None:
            await writer.abort()
            assert not self.resumable, (
                "checkpoint() returned None, though the test says 'resumable': return what "
                "resume() needs, or take 'resumable' away."
            )
            info = upload_info(self.part_size)
            await self._refuses(sink, info, {}, "has no checkpoints: leave resume() to Sink")
            raise EndOfTest
        return checkpoint

    async def _checkpoint_if_any(self, writer: SinkWriter) -> dict[str, Any] | None:
        with self._expect("checkpoint()", _WELL):
            checkpoint = await writer.checkpoint()
        try:
            restored: dict[str, Any] | None = json.loads(json.dumps(checkpoint))
        except (TypeError, ValueError) as exc:
            raise AssertionError(
                f"checkpoint() must return JSON's types only; it goes through a cache: {exc}."
            ) from exc
        assert restored == checkpoint and isinstance(restored, dict | None), (
            f"checkpoint() must return a dict of JSON's types: {checkpoint!r} comes out of a cache "
            f"as {restored!r}."
        )
        return restored

    async def _refuses(
        self, sink: Sink, info: UploadInfo, checkpoint: dict[str, Any], why: str
    ) -> None:
        self._doing = "resume()"
        try:
            await sink.resume(info, checkpoint)
        except NotResumable:
            return
        except Exception as exc:
            raise AssertionError(
                f"resume() must raise NotResumable, not {exc!r}, as it {why}: only then does the "
                "application begin the upload again."
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
        mend = "the checkpoint is the sink's own, and its bytes are there."
        with self._expect("resume()", mend):
            writer = await sink.resume(info, dict(checkpoint))
        return self._is_resumed(writer, durable, written)

    def _is_resumed(self, writer: SinkWriter, durable: int, written: int) -> SinkWriter:
        assert isinstance(writer, SinkWriter), f"resume() must return a writer. Got: {writer!r}"
        self._note(writer)
        assert durable <= writer.offset <= written, (
            f"resume() returned a writer at offset {writer.offset}; it was {durable} at the "
            f"checkpoint, and {written} bytes were written: start where the stored bytes end."
        )
        return writer

    async def _go_on(self, writer: SinkWriter, data: bytes, when: str) -> SinkFile:
        """Write the rest, finish, and look at the file."""
        rest = chunks_of(data[writer.offset :], CHUNK_SIZE)
        await self._write(writer, rest, start=writer.offset)
        file = await self._finish(writer, data)
        await self._has(file, data, when)
        return file


async def in_thread(function: Callable[[], T]) -> T:
    """Where a synchronous event handler runs."""
    return await sync_to_async(function, thread_sensitive=False)()


async def read(file: SinkFile) -> bytes:
    content: bytes = await in_thread(lambda: file.open().read())
    return content


def read_tail(file: SinkFile, size: int) -> bytes:
    file.open().seek(-size, io.SEEK_END)
    content: bytes = file.read()
    return content


async def is_gone(file: SinkFile) -> bool:
    """Whether nothing can be read any more. How that fails is the store's business."""
    try:
        return not await read(file)
    except Exception:
        return True


def cause_of(error: BaseException | None, kind: type[Exception]) -> BaseException | None:
    """The first error of this kind among an error and its causes."""
    while error and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
