"""A :class:`~.scene.Scene` for each call of a sink, of its writers and of its files."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from .harness import EVERYTHING
from .scene import Scene
from .steps import is_gone

if TYPE_CHECKING:
    from ...files import SinkFile
    from ...sinks.base import Sink, SinkWriter, UploadInfo


class Opening(Scene):
    name: ClassVar[str] = "open"

    async def prepare(self) -> None:
        pass

    def call(self) -> Awaitable[Any]:
        return self.sink.open(self.info)

    async def done(self, result: Any) -> None:
        self.writer: SinkWriter = self.test._is_new(result)
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
            self.judge(exc, "open()")
        else:
            await self._may_fail(writer.abort(), "abort()")


class _OfWriter(Scene):
    """A call before the last one. What runs beside it may still fail, and the next one tells."""

    async def returned(self, result: Any) -> None:
        self.checkpoint: dict[str, Any] | None = result or self.checkpoint
        await self.go_on()


class Writing(_OfWriter):
    name: ClassVar[str] = "write"
    after_error: ClassVar[Sequence[str]] = ("abort", "resume", "suspend")
    after_cancel: ClassVar[Sequence[str]] = after_error
    parts: ClassVar[float] = 0.5

    async def prepare(self) -> None:
        await super().prepare()
        self.before: int = self.written
        self.written: int = len(self.data) - 1

    def call(self) -> Awaitable[Any]:
        return self.writer.write(self.data[self.before : self.written])

    async def done(self, result: Any) -> None:
        await self._write_until(len(self.data))
        file = await self.test._finish(self.writer, self.data)
        await self._check_and_delete(self.sink, file, "when its store failed in write()")


class Flushing(_OfWriter):
    """The bytes came in one chunk: a writer may have gathered all of them."""

    name: ClassVar[str] = "flush"
    after_error: ClassVar[Sequence[str]] = ("go_on", "abort", "resume", "suspend")
    after_cancel: ClassVar[Sequence[str]] = ("abort", "resume", "suspend")

    async def _write_until(self, end: int) -> None:
        await self.test._write(self.writer, [self.data[self.written : end]], self.written)
        self.written: int = end

    def call(self) -> Awaitable[Any]:
        return self.writer.flush()

    async def done(self, result: Any) -> None:
        await self._write_until(len(self.data))
        file = await self.test._finish(self.writer, self.data)
        await self._check_and_delete(self.sink, file, "when its store failed in flush()")


class Checkpointing(Flushing):
    name: ClassVar[str] = "checkpoint"
    after_error: ClassVar[Sequence[str]] = ("go_on", "again", "abort", "resume")
    after_cancel: ClassVar[Sequence[str]] = ("abort", "again", "resume")

    def call(self) -> Awaitable[Any]:
        return self.writer.checkpoint()

    async def done(self, result: Any) -> None:
        self.checkpoint: dict[str, Any] | None = result or self.checkpoint
        await super().done(result)


class Finishing(Scene):
    name: ClassVar[str] = "finish"
    after_error: ClassVar[Sequence[str]] = ("again", "abort", "resume", "suspend")
    after_cancel: ClassVar[Sequence[str]] = ("abort", "resume")
    parts: ClassVar[float] = 3

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
    name: ClassVar[str] = "abort"

    def call(self) -> Awaitable[Any]:
        return self.writer.abort()

    async def done(self, result: Any) -> None:
        await self.test._nothing_left(
            self.sink, "abort()", "abort() must delete all that the writer stored, or raise."
        )


class AbortingWhole(Aborting):
    """``abort()`` of an upload that lacks its ``finish()`` only."""

    parts: ClassVar[float] = 3


class Releasing(Scene):
    name: ClassVar[str] = "release"
    after_error: ClassVar[Sequence[str]] = ("again", "resume")
    after_cancel: ClassVar[Sequence[str]] = after_error

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
    name: ClassVar[str] = "resume"
    after_error: ClassVar[Sequence[str]] = ("again", "resume")
    after_cancel: ClassVar[Sequence[str]] = after_error

    async def prepare(self) -> None:
        await super().prepare()
        await self.test._flush(self.writer, self.written)
        self.durable: int = self.writer.offset
        self.checkpoint: dict[str, Any] | None = await self.test._checkpoint_if_any(self.writer)
        await self._let_go()
        self.info: UploadInfo = replace(self.info, generation=1)
        self.sink: Sink = self.test._other(self.sink)

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

    parts: ClassVar[float] = 3

    async def prepare(self) -> None:
        await super().prepare()
        self.file: SinkFile = await self.test._finish(self.writer, self.data)

    async def in_outage(self) -> None:
        await self._may_fail(self.call(), f"{self.name}()")


class Deleting(_OfFile):
    name: ClassVar[str] = "adelete"

    def call(self) -> Awaitable[Any]:
        return self.file.adelete()

    async def done(self, result: Any) -> None:
        await self.test._nothing_left(
            self.sink, "adelete()", "delete all that finish() stored, or raise."
        )
        assert await is_gone(self.file), "The file can be read after adelete()."


class Keeping(_OfFile):
    name: ClassVar[str] = "akeep"
    after_error: ClassVar[Sequence[str]] = ("again", "delete")
    after_cancel: ClassVar[Sequence[str]] = after_error

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
    name: ClassVar[str] = "sweep"

    async def prepare(self) -> None:
        await super().prepare()
        await self.test._flush(self.writer, self.written)
        self.kept: SinkFile = await self.test._store(self.sink, b"kept")
        await self.test._keep(self.kept)
        self.waiting: SinkFile = await self.test._store(self.sink, b"waiting")
        self.sink: Sink = self.test._other(self.sink)

    async def give_up(self) -> None:
        await super().give_up()
        for file in (self.kept, self.waiting):
            await self.test._remove(file)

    def call(self) -> Awaitable[Any]:
        return self.sink.sweep(EVERYTHING)

    async def in_outage(self) -> None:
        await self._may_fail(self.call(), "sweep()")

    async def done(self, result: Any) -> None:
        if self.sink.keeps_files:
            await self.test._has(self.kept, b"kept", "when a sweep was disturbed")
        await self.test._remove(self.kept)
        if not self.test.sweeps_unconsumed:
            await self.test._remove(self.waiting)
        await self.test._nothing_left(
            self.sink, "sweep()", "delete what a process that crashed left unfinished, or raise."
        )
        with self.test._expect("abort() after a sweep()", "what is gone already is no error."):
            await self.writer.abort()
        # A sink in memory has nothing that a sweep could take, so its file is still there.
        await self.test._remove(self.waiting)


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
