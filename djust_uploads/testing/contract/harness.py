"""What the contract's tests stand on: an event loop of its own for each test, its hooks and its
time limit."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest

from ...exceptions import NotResumable, SinkError, SinkMisconfigured, UploadError
from ...sinks.base import Sink, SinkWriter
from .driving import Driver, Fault
from .limits import GRACE, Stuck, interrupted_after

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Harness")

EVERYTHING = timedelta(0)


def on_loop(
    test: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Make an async test one that pytest runs without a plugin."""

    @functools.wraps(test)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(EndOfTest):
            self._run(test(self, *args, **kwargs))

    return run


async def result_of(hook: T | Awaitable[T]) -> T:
    """Return what a hook has returned, which may be async."""
    return await hook if inspect.isawaitable(hook) else hook


class EndOfTest(Exception):
    """All that can be asked of this sink was asked."""


class Harness:
    """The hooks of :class:`~djust_uploads.testing.SinkContract`, and the frame of each test.

    The hooks have defaults; each one you override makes the contract see more.
    """

    #: Bytes of what the sink hands to its store at once; sizes around it are tried.
    part_size: int = 64 * 1024
    #: Insist on checkpoints. A sink that gives some is tested with them anyway.
    resumable: bool = False
    #: Whether ``sweep`` finds finished files that were never consumed, where ``keeps_files``.
    #: ``False`` if something else does, for example a lifecycle rule of the store.
    sweeps_unconsumed: bool = True
    #: Bytes that a writer may hold in memory. ``None`` means eight parts, and 16 MiB at least.
    max_buffered: int | None = None
    #: How many things the store lists at once. The sweep must find one more than these.
    page_size: int = 10
    #: The error that the sink must raise in ``failing_store()``.
    store_error: type[UploadError] = SinkError
    #: The error that the sink must raise in ``refusing_store()``.
    refusal_error: type[UploadError] = SinkMisconfigured
    #: Seconds that a test may take.
    time_limit: float = 60.0
    #: How often at most each call is disturbed by one kind of fault, at different points and with
    #: different things that come next. A sink with a slow store is tested in less time with less.
    fault_points: int = 8
    #: How many orders of calls are tried with hypothesis, where it is installed.
    random_orders: int = 15

    _runner: asyncio.Runner
    _driver: Driver
    _before: set[str]
    _others: list[Sink]
    #: The writers that something still refers to.
    _writers: weakref.WeakSet[SinkWriter]
    #: What the sink is doing, for the failure of a test that takes too long.
    _doing: str = "The test's fixture"

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
        """A context in which the store fails every call of ``sink``. With the default, ``None``,
        what the sink makes of its store's errors is not tested."""
        return None

    def losing_answers(self, sink: Sink) -> Fault | None:
        """A context in which the store does what it is asked, and its answers get lost.

        A sink whose connections are asyncio's needs no such context: the contract closes them.
        """
        return None

    def refusing_store(self, sink: Sink) -> Fault | None:
        """A context in which the store refuses every call for good, as one with a wrong password
        does. With the default, ``None``, that is not tested."""
        return None

    def damage_store(self, sink: Sink, by: int) -> Awaitable[None] | None:
        """Make each thing that is stored of uploads one byte shorter (``by`` is -1) or longer (1),
        as a disk that lost power or another program may do; may be async. With the default, that is
        not tested."""
        return None

    def another_process(self, sink: Sink) -> Sink:
        """The same store, as a sink in another process would see it. The default is ``sink``."""
        return sink

    def store_something_else(self, sink: Sink) -> Awaitable[None] | None:
        """Put something into the store that is no upload, beside the uploads; may be async."""
        return None

    # The frame of each test.

    @pytest.fixture(autouse=True)
    def _run_on_loop(self, sink: Sink) -> Iterator[None]:
        assert isinstance(sink, Sink), f"The fixture 'sink' must return a Sink. Got: {sink!r}"
        self._before, self._others, self._writers = set(), [], weakref.WeakSet()
        with self._new_runner():
            self._run(self._look(sink))
            yield
            self._run(self._close(sink))

    @contextlib.contextmanager
    def _new_runner(self) -> Iterator[None]:
        """An event loop for :meth:`_run`, which ends with the context."""
        outer = getattr(self, "_runner", None), getattr(self, "_driver", None)
        # A factory, so that nobody else's current event loop is replaced.
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._runner, self._driver = runner, Driver(runner.get_loop())
        try:
            yield
        finally:
            self._runner, self._driver = outer  # type: ignore[assignment]
            self._doing = "The end of the event loop"
            with self._limited():
                runner.close()

    def _run(self, test: Coroutine[Any, Any, T]) -> T:
        """Run ``test`` on the event loop, for ``time_limit`` seconds at most."""
        with self._limited():
            return self._runner.run(self._in_time(test))

    async def _in_time(self, test: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self.time_limit) as limit:
                return await test
        except TimeoutError:
            if not limit.expired():
                raise
        raise AssertionError(
            f"{self._doing} did not end in {self.time_limit} s: it waits for something that does "
            "not come, or tries again without end. Release a lock or a permit, and wake who waits, "
            "after an error and when a call is cancelled, too: in 'finally:' or by 'async with'."
        )

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """Give what the event loop itself can't end a little longer."""
        try:
            with interrupted_after(self.time_limit + GRACE):
                yield
        except Stuck as exc:
            raise AssertionError(
                f"{self._doing} did not end in {self.time_limit} s, and could not be cancelled: it "
                "blocks the event loop, or goes on after a CancelledError. Await what takes time, "
                "and let CancelledError pass."
            ) from exc

    async def _look(self, sink: Sink) -> None:
        self._doing = "sweep() or leftovers()"
        self._before = await self._in_store(sink)

    async def _close(self, sink: Sink) -> None:
        for each in (*self._others, sink):
            with self._expect("aclose()", "close what is open; what is closed is no error."):
                await each.aclose()

    def _other(self, sink: Sink) -> Sink:
        self._others.append(self.another_process(sink))
        return self._others[-1]

    # What is in the store

    async def _in_store(self, sink: Sink) -> set[str]:
        names = await result_of(self.leftovers(sink))
        assert isinstance(names, list), (
            f"sweep() (and leftovers(), where it is overridden) must return a list of names. "
            f"Got: {names!r}"
        )
        return set(names) - self._before

    async def _nothing_left(self, sink: Sink, after: str, mend: str) -> None:
        # What a cancelled call left to a thread may take a moment, as may the store's listing.
        for _ in range(40):
            left = await self._in_store(sink)
            if not left and not await self._something_goes_on():
                return
            await asyncio.sleep(0.025 if left else 0)
        raise AssertionError(f"{sorted(left)} is left in the store after {after}: {mend}")

    async def _something_goes_on(self) -> bool:
        """Whether a task of the sink has ended just now: it may have stored something."""
        tasks = self._driver.tasks - {asyncio.current_task()}
        ended, _ = await asyncio.wait(tasks, timeout=0.02) if tasks else ((), ())
        return bool(ended)

    # What a sink raises

    @contextlib.contextmanager
    def _expect(self, call: str, mend: str) -> Iterator[None]:
        """Turn an error in a call that must not fail into a failure that says what to mend."""
        self._doing = call
        try:
            yield
        except (AssertionError, EndOfTest):
            raise
        except Exception as exc:
            raise AssertionError(f"{call} raised {exc!r}: {mend}") from exc
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise AssertionError(
                f"{call} raised CancelledError, and nobody had cancelled it: what you await was "
                "cancelled. Catch that error, and raise one of ours."
            ) from exc

    def _is_ours(self, exc: Exception, call: str) -> None:
        """Check that an error is one that the application understands, and tells its cause."""
        assert isinstance(exc, UploadError), (
            f"{call} raised the store's own {exc!r}: raise SinkUnavailable, SinkError or what fits "
            "of djust_uploads.exceptions, 'from exc'."
        )
        foreign = exc.__context__
        told = exc.__cause__ or not foreign or isinstance(foreign, UploadError)
        assert told or isinstance(foreign, asyncio.CancelledError), (
            f"{call} raised {exc!r} without its cause, {foreign!r}: write 'raise … from exc', so "
            "that the log has what the provider said."
        )

    def _is_outage(self, exc: Exception, call: str) -> None:
        """Check an error that the store's failure caused."""
        self._is_ours(exc, call)
        assert not isinstance(exc, NotResumable), (
            f"{call} raised {exc!r} when the store failed: that makes the application forget an "
            "upload whose bytes are there. Raise NotResumable only when the store says that "
            "they are gone."
        )
        assert isinstance(exc, self.store_error), (
            f"{call} raised {exc!r} when the store failed, and the test says that "
            f"{self.store_error.__name__} is right ('store_error')."
        )

    def _is_refusal(self, exc: Exception, call: str) -> None:
        """Check an error that the store's refusal caused."""
        self._is_ours(exc, call)
        right = self.refusal_error
        assert isinstance(exc, right) and not exc.retryable, (
            f"{call} raised {exc!r} when the store refused it: raise {right.__name__}, which is "
            "not tried again."
        )

    @property
    def _most_buffered(self) -> int:
        return self.max_buffered or max(8 * self.part_size, 16 * 1024 * 1024)
