"""One upload for each call of a sink: up to the call, and what an application does after it.

A :class:`Scene` knows what must be in the store, and what the file must read, after its call has
returned, has failed, or was cancelled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...exceptions import UploadError
from .content import CHUNK_SIZE, chunks_of, data_of, upload_info

if TYPE_CHECKING:
    from ...files import SinkFile
    from ...sinks.base import Sink, SinkWriter, UploadInfo
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
        self.info: UploadInfo = upload_info(len(self.data))
        #: Bytes given to the writer, and bytes that the checkpoint tells of.
        self.written: int = 0
        self.durable: int = 0
        self.checkpoint: dict[str, Any] | None = None
        #: Checks an error that the store caused, given the call that raised it.
        self.judge: Callable[[Exception, str], None] = test._is_outage

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

    async def give_up(self) -> None:
        """Delete what :meth:`prepare` has stored, as the call can't be asked of this sink."""
        await self.writer.abort()

    def call(self) -> Awaitable[Any]:
        """Make the call."""
        raise NotImplementedError

    # After it

    async def done(self, result: Any) -> None:
        """The call has returned, so it has done what it is for."""
        raise NotImplementedError

    def failed(self, error: Exception) -> None:
        """The call has raised an error, because the store failed, or refused it."""
        self.judge(error, f"{self.name}()")

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
            self.judge(exc, name)

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
            self.judge(exc, f"write() after {self.name}()")
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
