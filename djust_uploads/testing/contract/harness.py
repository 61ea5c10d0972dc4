"""What the contract's tests stand on: an event loop of its own for each test, and uploads in steps
that hold what each call promises."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import io
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from asgiref.sync import sync_to_async

from ...exceptions import UploadError
from ...files import SinkFile
from ...sinks.base import Sink, SinkWriter, UploadInfo
from .faults import chunks_of, data_of, difference

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="SinkTests")

#: As the browser sends by default.
CHUNK_SIZE = 64 * 1024

EVERYTHING = timedelta(0)

#: A context in which the store fails.
Fault = contextlib.AbstractContextManager[Any]


def on_loop(
    test: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Make an async test one that pytest runs without a plugin."""

    @functools.wraps(test)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(EndOfTest):
            self._runner.run(test(self, *args, **kwargs))

    return run


class EndOfTest(Exception):
    """All that can be asked of this sink was asked."""


@contextlib.contextmanager
def expect(call: str, mend: str) -> Iterator[None]:
    """A sink's error, in a call that must not fail, as a failure that says what to mend."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as exc:
        raise AssertionError(f"{call} raised {exc!r}: {mend}") from exc


def is_ours(exc: Exception, call: str) -> None:
    assert isinstance(exc, UploadError), (
        f"{call} raised the store's own {exc!r}: raise SinkUnavailable, SinkError or what fits of "
        "djust_uploads.exceptions, 'from exc'."
    )


class SinkTests:
    """What :class:`~djust_uploads.testing.SinkContract` stands on: its hooks, and uploads in steps.

    The hooks have defaults; each one you override makes the contract see more.
    """

    #: Bytes of what the sink hands to its store at once; sizes around it are tried.
    part_size: int = 64 * 1024
    #: Insist on checkpoints. A sink that gives some is tested with them anyway.
    resumable: bool = False
    #: Whether ``sweep`` finds finished files that were never consumed, where ``keeps_files``.
    #: ``False`` if something else does, for example a lifecycle rule of the store.
    sweeps_unconsumed: bool = True

    _runner: asyncio.Runner
    _before: set[str]
    _others: list[Sink]

    # What you override.

    @pytest.fixture
    def sink(self) -> Sink:
        """The sink to test, new for each test."""
        raise NotImplementedError("Override the fixture 'sink': return the sink to test.")

    def leftovers(self, sink: Sink) -> list[str] | Awaitable[list[str]]:
        """Names of everything that is in the store now; may be async. The default only knows what
        the sink itself would sweep."""
        return sink.sweep(EVERYTHING, dry_run=True)

    def failing_store(self, sink: Sink) -> Fault | None:
        """A context in which the store fails every call. With the default, ``None``, what the sink
        makes of its store's errors is not tested."""
        return None

    def another_process(self, sink: Sink) -> Sink:
        """The same store, as a sink in another process would see it. The default is ``sink``."""
        return sink

    # The frame of each test.

    @pytest.fixture(autouse=True)
    def _run_on_loop(self, sink: Sink) -> Iterator[None]:
        assert isinstance(sink, Sink), f"The fixture 'sink' must return a Sink. Got: {sink!r}"
        # A factory, so that nobody else's current event loop is replaced.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as self._runner:
            self._before, self._others = self._runner.run(self._in_store(sink)), []
            yield
            for each in (*self._others, sink):
                self._runner.run(each.aclose())

    def _other(self, sink: Sink) -> Sink:
        self._others.append(self.another_process(sink))
        return self._others[-1]

    async def _in_store(self, sink: Sink) -> set[str]:
        names = self.leftovers(sink)
        if inspect.isawaitable(names):
            names = await names
        assert isinstance(names, list), (
            f"sweep() (and leftovers(), where it is overridden) must return a list of names. "
            f"Got: {names!r}"
        )
        return set(names) - getattr(self, "_before", set())

    async def _nothing_left(self, sink: Sink, after: str, mend: str) -> None:
        # What a cancelled call left to a thread may take a moment, as may the store's listing.
        for _ in range(20):
            left = await self._in_store(sink)
            if not left:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{sorted(left)} is left in the store after {after}: {mend}")

    # Uploads in steps that hold what each call promises.

    async def _open(self, sink: Sink, size: int) -> SinkWriter:
        writer = await sink.open(upload_info(size))
        assert isinstance(writer, SinkWriter), (
            f"open() must return a new SinkWriter. Got: {writer!r}"
        )
        assert writer.offset == 0, (
            f"A new writer's offset is 0, not {writer.offset}: set it in the writer's __init__, "
            "not on the class or the sink."
        )
        return writer

    async def _write(self, writer: SinkWriter, chunks: Iterable[bytes], start: int = 0) -> None:
        written = start
        for chunk in chunks:
            before = writer.offset
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
        with expect("flush()", "what the store does not take now may stay in the writer."):
            await writer.flush()
        assert before <= writer.offset <= written, (
            f"flush() moved offset from {before} to {writer.offset} when {written} bytes were "
            "written: add to it only what the store has taken by it."
        )

    async def _finish(self, writer: SinkWriter, data: bytes) -> SinkFile:
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

    async def _has(self, file: SinkFile, data: bytes, when: str) -> None:
        content = await read(file)
        assert content == data, (
            f"The file is wrong {when}: {difference(content, data)}. Store each chunk once, in "
            "order, and what is left in finish()."
        )

    async def _delete(self, sink: Sink, file: SinkFile) -> None:
        await file.adelete()
        await self._nothing_left(
            sink, "adelete()", "delete all that finish() stored, in the file's adelete()."
        )

    async def _abort(self, sink: Sink, writer: SinkWriter, after: str) -> None:
        mend = "it must work at any time, any number of times; what is gone already is no error."
        with expect(f"abort() after {after}", mend):
            await writer.abort()
        await self._nothing_left(
            sink, f"abort() after {after}", "abort() must delete all that the writer stored."
        )

    async def _still_works(self, sink: Sink, since: str) -> None:
        data = data_of(self.part_size + 2)
        with expect(f"An upload after {since}", "an error ends its own upload only."):
            file = await self._store(sink, data)
        await self._has(file, data, f"after {since}")
        await self._delete(sink, file)


def upload_info(size: int) -> UploadInfo:
    return UploadInfo(
        upload_name="contract",
        client_name="the report.bin",
        safe_client_name="the_report.bin",
        client_type="application/x-claimed",
        content_type="application/octet-stream",
        size=size,
    )


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
