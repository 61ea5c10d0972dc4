"""One upload for each call of a sink: up to the call, and what an application does after it.

A :class:`Scene` knows what must be in the store, and what the file must read, after its call has
returned, has failed, or was cancelled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...exceptions import UploadError
from .content import CHUNK_SIZE, chunks_of, data_of, upload_info
from .harness import EVERYTHING
from .steps import is_gone

if TYPE_CHECKING:
    from ...files import SinkFile
    from ...sinks.base import Sink, SinkWriter
    from .steps import SinkTests


class Scene:
    """An upload whose call :attr:`name` is disturbed. The methods assert what must hold."""

    name: ClassVar[str]
    #: Names of the methods that may come next. An upload that can't be resumed has no ``resume``.
    after_error: ClassVar[Sequence[str]] = ("again",)
    after_cancel: ClassVar[Sequence[str]] = ("again",)
    #: Bytes that are written before the call, in parts.
    parts: ClassVar[float] = 1.5

    writer: SinkWriter
    file: SinkFile

    def __init__(self, test: SinkTests, sink: Sink) -> None:
        self.test = test
        self.sink = sink
        self.data: bytes = data_of(2 * test.part_size + 1)
        self.info = upload_info(len(self.data))
        #: Bytes given to the writer, and bytes that the checkpoint tells of.
        self.written = 0
        self.durable = 0
        self.checkpoint: dict[str, Any] | None = None

    # Up to the call

    async def prepare(self) -> None:
        """Go on to where the call is next."""
        self.writer = await self.test._open_info(self.sink, self.info)
        self.checkpoint = await self.test._checkpoint_if_any(self.writer)
        await self._write_until(min(int(self.parts * self.test.part_size), len(self.data)))

    async def _write_until(self, end: int) -> None:
        chunks = chunks_of(self.data[self.written : end], CHUNK_SIZE)
        await self.test._write(self.writer, chunks, self.written)
        self.written = end

    def call(self) -> Awaitable[Any]:
        """Make the call."""
        raise NotImplementedError

    # After it

    async def done(self, result: Any) -> None:
        """The call has returned, so it has done what it is for."""
        raise NotImplementedError

    def failed(self, error: Exception) -> None:
        """The call has raised an error, because the store failed."""
        self.test._is_outage(error, f"{self.name}()")

    async def returned(self, result: Any) -> None:
        """The call has returned although it was disturbed."""
        await self.done(result)

    async def unfinished(self) -> None:
        """The call has failed, or was cancelled. Check what must hold before anything is done."""

    async def in_outage(self) -> None:
        """The store fails, and the application does not wait for it."""
        await self._may_fail(self.writer.abort(), "abort()")

    async def _may_fail(self, call: Awaitable[Any], name: str) -> None:
        self.test._doing = name
        try:
            await call
        except Exception as exc:
            self.test._is_outage(exc, name)

    async def again(self) -> None:
        """Make the call once more."""
        mend = "an error, or a cancellation, must leave nothing in its own way."
        with self.test._expect(f"{self.name}(), called again,", mend):
            result = await self.call()
        await self.done(result)

    async def abort(self) -> None:
        await self.test._abort(self.sink, self.writer, f"{self.name}()")

    async def go_on(self) -> None:
        """Write the rest and finish. What a failed call means, the next one may tell."""
        when = f"when {self.name}() was disturbed before: drop nothing before the store has it"
        try:
            for chunk in chunks_of(self.data[self.written :], CHUNK_SIZE):
                await self.writer.write(chunk)
        except Exception as exc:
            self.test._is_outage(exc, f"write() after {self.name}()")
            await self.abort()
            return
        # The first finish() may tell of an error before it; the second one goes on from there.
        await self._may_fail(self.writer.finish(), f"finish() after {self.name}()")
        file = await self.test._finish(self.writer, self.data, "go on where it failed.")
        await self._check_and_delete(self.sink, file, when)

    async def resume(self) -> None:
        """The process has crashed: go on in another one, from the last checkpoint."""
        await self._resume_elsewhere(f"when its process crashed in {self.name}()")
        await self._let_go()

    async def suspend(self) -> None:
        """The server shuts down: take one more checkpoint."""
        with contextlib.suppress(UploadError):
            await self.writer.flush()
        durable = self.writer.offset
        self.checkpoint = await self.test._checkpoint_if_any(self.writer)
        self.durable = durable
        await self._let_go()
        await self._resume_elsewhere(f"when it was suspended after {self.name}()")

    async def _let_go(self) -> None:
        with self.test._expect("release()", "it needs no store, so it can't fail."):
            await self.writer.release()

    async def _resume_elsewhere(self, when: str) -> None:
        assert self.checkpoint is not None
        other = self.test._other(self.sink)
        self.info = replace(self.info, generation=self.info.generation + 1)
        writer = await self.test._resumed(
            other, self.info, self.checkpoint, self.durable, self.written
        )
        file = await self.test._go_on(writer, self.data, when)
        await self.test._delete(other, file)

    async def _check_and_delete(self, sink: Sink, file: SinkFile, when: str) -> None:
        await self.test._has(file, self.data, when)
        await self.test._delete(sink, file)


class Opening(Scene):
    name = "open"

    async def prepare(self) -> None:
        pass

    def call(self) -> Awaitable[Any]:
        return self.sink.open(self.info)

    async def done(self, result: Any) -> None:
        self.writer = self.test._is_new(result)
        await self._write_until(len(self.data))
        file = await self.test._finish(self.writer, self.data)
        await self._check_and_delete(self.sink, file, "when it was opened a second time")

    async def unfinished(self) -> None:
        await self.test._nothing_left(
            self.sink,
            "an open() that failed or was cancelled",
            "delete what open() began, in 'except BaseException:'.",
        )

    async def in_outage(self) -> None:
        self.test._doing = "open()"
        try:
            writer = await self.sink.open(self.info)
        except Exception as exc:
            self.test._is_outage(exc, "open()")
        else:
            await self._may_fail(writer.abort(), "abort()")


class _OfWriter(Scene):
    """A call before the last one. What runs beside it may still fail, and the next one tells."""

    async def returned(self, result: Any) -> None:
        self.checkpoint = result or self.checkpoint
        await self.go_on()


class Writing(_OfWriter):
    name = "write"
    after_error = after_cancel = ("abort", "resume", "suspend")
    parts = 0.5

    async def prepare(self) -> None:
        await super().prepare()
        self.before = self.written
        self.written = len(self.data) - 1

    def call(self) -> Awaitable[Any]:
        return self.writer.write(self.data[self.before : self.written])

    async def done(self, result: Any) -> None:
        await self._write_until(len(self.data))
        file = await self.test._finish(self.writer, self.data)
        await self._check_and_delete(self.sink, file, "when its store failed in write()")


class Flushing(_OfWriter):
    """The bytes came in one chunk: a writer may have gathered all of them."""

    name = "flush"
    after_error = ("go_on", "abort", "resume", "suspend")
    after_cancel = ("abort", "resume", "suspend")

    async def _write_until(self, end: int) -> None:
        await self.test._write(self.writer, [self.data[self.written : end]], self.written)
        self.written = end

    def call(self) -> Awaitable[Any]:
        return self.writer.flush()

    async def done(self, result: Any) -> None:
        await self._write_until(len(self.data))
        file = await self.test._finish(self.writer, self.data)
        await self._check_and_delete(self.sink, file, "when its store failed in flush()")


class Checkpointing(Flushing):
    name = "checkpoint"
    after_error = ("go_on", "again", "abort", "resume")
    after_cancel = ("abort", "again", "resume")

    def call(self) -> Awaitable[Any]:
        return self.writer.checkpoint()

    async def done(self, result: Any) -> None:
        self.checkpoint = result or self.checkpoint
        await super().done(result)


class Finishing(Scene):
    name = "finish"
    after_error = ("again", "abort", "resume", "suspend")
    after_cancel = ("abort", "resume")
    parts = 3

    def call(self) -> Awaitable[Any]:
        return self.writer.finish()

    async def done(self, result: Any) -> None:
        mend = "drop nothing before the store has it, and go on where it failed."
        file = await self.test._finish(self.writer, self.data, mend)
        await self._check_and_delete(self.sink, file, "when finish() was disturbed before")

    async def again(self) -> None:
        await self.done(None)


class FinishingFlushed(Finishing):
    """``finish()`` of what was flushed, which leaves less to do."""

    async def prepare(self) -> None:
        await super().prepare()
        await self.test._flush(self.writer, self.written)


class Aborting(Scene):
    name = "abort"

    def call(self) -> Awaitable[Any]:
        return self.writer.abort()

    async def done(self, result: Any) -> None:
        await self.test._nothing_left(
            self.sink, "abort()", "abort() must delete all that the writer stored, or raise."
        )


class AbortingWhole(Aborting):
    """``abort()`` of an upload that lacks its ``finish()`` only."""

    parts = 3


class Releasing(Scene):
    name = "release"
    after_error = after_cancel = ("again", "resume")

    def call(self) -> Awaitable[Any]:
        return self.writer.release()

    def failed(self, error: Exception) -> None:
        raise AssertionError(
            f"release() raised {error!r}: it must let go of memory and tasks only, and not ask the "
            "store."
        ) from error

    async def done(self, result: Any) -> None:
        if self.checkpoint is None:
            await self.abort()
        else:
            await self._resume_elsewhere("when its writer was released")


class Resuming(Scene):
    name = "resume"
    after_error = after_cancel = ("again", "resume")

    async def prepare(self) -> None:
        await super().prepare()
        await self.test._flush(self.writer, self.written)
        self.durable = self.writer.offset
        self.checkpoint = await self.test._checkpoint_if_any(self.writer)
        await self._let_go()
        self.info = replace(self.info, generation=1)
        self.sink = self.test._other(self.sink)

    def call(self) -> Awaitable[Any]:
        assert self.checkpoint is not None
        return self.sink.resume(self.info, dict(self.checkpoint))

    async def done(self, result: Any) -> None:
        writer = self.test._is_resumed(result, self.durable, self.written)
        file = await self.test._go_on(writer, self.data, "when resume() was disturbed before")
        await self.test._delete(self.sink, file)

    async def in_outage(self) -> None:
        await self._may_fail(self.call(), "resume()")

    async def resume(self) -> None:
        await self._resume_elsewhere("when the process before it failed to resume it")


class _OfFile(Scene):
    """A call of a finished upload."""

    parts = 3

    async def prepare(self) -> None:
        await super().prepare()
        self.file = await self.test._finish(self.writer, self.data)

    async def in_outage(self) -> None:
        await self._may_fail(self.call(), f"{self.name}()")


class Deleting(_OfFile):
    name = "adelete"

    def call(self) -> Awaitable[Any]:
        return self.file.adelete()

    async def done(self, result: Any) -> None:
        await self.test._nothing_left(
            self.sink, "adelete()", "delete all that finish() stored, or raise."
        )
        assert await is_gone(self.file), "The file can be read after adelete()."


class Keeping(_OfFile):
    name = "akeep"
    after_error = after_cancel = ("again", "delete")

    def call(self) -> Awaitable[Any]:
        return self.file.akeep()

    async def unfinished(self) -> None:
        await self.test._has(self.file, self.data, "when akeep() was disturbed")

    async def done(self, result: Any) -> None:
        if self.sink.keeps_files:
            await self.test._sweep(self.test._other(self.sink))
        await self._check_and_delete(
            self.sink,
            self.file,
            "when akeep() returned, and a sweep came by: take the mark away in it, or raise",
        )

    async def delete(self) -> None:
        await self.test._delete(self.sink, self.file)


class Sweeping(Scene):
    name = "sweep"

    async def prepare(self) -> None:
        await super().prepare()
        await self.test._flush(self.writer, self.written)
        self.kept = await self.test._store(self.sink, self.data)
        await self.test._keep(self.kept)
        self.writer_sink, self.sink = self.sink, self.test._other(self.sink)

    def call(self) -> Awaitable[Any]:
        return self.sink.sweep(EVERYTHING)

    async def in_outage(self) -> None:
        await self._may_fail(self.call(), "sweep()")

    async def done(self, result: Any) -> None:
        if self.sink.keeps_files:
            await self.test._has(self.kept, self.data, "when a sweep was disturbed")
        await self.test._remove(self.kept)
        await self.test._nothing_left(
            self.sink, "sweep()", "delete what a process that crashed left unfinished, or raise."
        )
        with self.test._expect("abort() after a sweep()", "what is gone already is no error."):
            await self.writer.abort()


SCENES: dict[str, type[Scene]] = {
    scene.name: scene
    for scene in (
        Opening,
        Writing,
        Flushing,
        Checkpointing,
        Finishing,
        Aborting,
        Releasing,
        Resuming,
        Deleting,
        Keeping,
        Sweeping,
    )
}
SCENES["finish after flush"] = FinishingFlushed
SCENES["abort of all bytes"] = AbortingWhole
