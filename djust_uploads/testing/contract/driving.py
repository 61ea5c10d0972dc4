"""Disturbs a call of a sink at each point at which it waits for its store.

A call waits where its task, or a task that the sink began, gives way to the event loop. A
:class:`Driver` sees all of these points, and a :class:`Disturbance` acts at one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

#: A context in which the store fails.
Fault = contextlib.AbstractContextManager[Any]


class Disturbance:
    """Something that befalls a call at its point ``at``. This one counts the points only.

    Point 0 is the beginning of the call. Point *n* is where one of its tasks has waited for the
    *n*-th time.
    """

    #: In words, for failures: what happened to the call.
    happened: ClassVar[str] = "was left alone"
    #: Whether it cancels the call.
    cancels: ClassVar[bool] = False
    #: Whether all that may come next is tried at the same point, or one thing only.
    with_all_that_may_follow: ClassVar[bool] = True

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.task: asyncio.Task[Any] | None = None
        #: The sink that is called.
        self.sink: Any = None

    def waits(self, point: int) -> None:
        """A task begins to wait for the ``point``-th time."""

    def goes_on(self, point: int, *, first: bool) -> BaseException | None:
        """A task goes on after it waited for the ``point``-th time.

        Return an error to raise there, in place of what the task waited for. ``first`` says whether
        it is the call's own task.
        """
        return None

    def loses(self, answer: int) -> bool:
        """Return whether the ``answer``-th piece of data from a connection gets lost."""
        return False

    def ended(self) -> None:
        """The call has ended."""

    def over(self) -> None:
        """Nothing is to be disturbed any more."""


class CancelWhenItWaits(Disturbance):
    """A timeout while the store works on what it was asked."""

    happened = "was cancelled while it waited"
    cancels = True

    #: Whether it has cancelled the call. What the sink then does to clean up is left alone.
    _done = False

    def waits(self, point: int) -> None:
        if point == self.at and self.task and not self._done:
            self._done = True
            self.task.cancel()


class CancelWhenItIsAnswered(Disturbance):
    """A timeout when the store has done what it was asked, and before the sink has heard of it."""

    happened = "was cancelled when the store had answered"
    cancels = True

    def goes_on(self, point: int, *, first: bool) -> BaseException | None:
        if point != self.at:
            return None
        if first:
            return asyncio.CancelledError()
        if self.task:
            self.task.cancel()
        return None


class Failure(Disturbance):
    """The store fails from the point on until the call ends."""

    happened = "met a store that failed"
    lasts: ClassVar[int] = 1_000_000

    def __init__(self, at: int, *, store: Callable[[Any], Fault]) -> None:
        super().__init__(at)
        self._store = store
        self._failing = contextlib.ExitStack()

    def goes_on(self, point: int, *, first: bool) -> BaseException | None:
        if point == self.at:
            self._failing.enter_context(self._store(self.sink))
        elif point == self.at + self.lasts:
            self._failing.close()
        return None

    def ended(self) -> None:
        self.over()

    def over(self) -> None:
        self._failing.close()


class ShortFailure(Failure):
    """The store fails until the call has waited once more."""

    happened = "met a store that failed once"
    with_all_that_may_follow = False
    lasts = 1


class Outage(Failure):
    """The store fails from the point on, also after the call, until :meth:`over`."""

    happened = "met a store that went on failing"
    with_all_that_may_follow = False

    def ended(self) -> None:
        pass


class LostAnswer(Disturbance):
    """The store does what it is asked. The connection closes in place of its answer."""

    happened = "lost the store's answer, and its connection,"

    def loses(self, answer: int) -> bool:
        return answer == self.at


class Deafness(Failure):
    """As :class:`LostAnswer`, where the test itself says how answers get lost."""

    happened = "lost the store's answer"


@dataclass
class Outcome:
    """How a call ended."""

    result: Any = None
    error: Exception | None = None
    cancelled: bool = False
    #: How often its tasks have waited, and how often data came by a connection.
    points: int = 0
    answers: int = 0


class Driver:
    """Runs calls on one event loop, and disturbs them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: The tasks of the loop that are not done. Held, so that none that a sink forgot is
        #: collected as garbage before it is found.
        self.tasks: set[asyncio.Task[Any]] = set()
        self._disturbance: Disturbance | None = None
        self._tester: asyncio.Task[Any] | None = None
        self._points = self._answers = 0
        loop.set_task_factory(self._new_task)
        watched: Any = loop
        for name in ("create_connection", "create_unix_connection"):
            setattr(watched, name, self._watched(getattr(loop, name)))

    async def run(self, call: Awaitable[Any], disturbance: Disturbance) -> Outcome:
        """Await ``call`` in a task of its own, and return how it ended."""
        self._points = self._answers = 0
        self._tester = asyncio.current_task()
        disturbance.goes_on(0, first=True)
        task = asyncio.ensure_future(self._begin(call, disturbance))
        try:
            await asyncio.wait([task])
        finally:
            self._disturbance = None
            disturbance.ended()
            task.cancel()
        outcome = Outcome(points=self._points, answers=self._answers)
        if task.cancelled():
            outcome.cancelled = True
        elif error := task.exception():
            if not isinstance(error, Exception):
                raise error
            outcome.error = error
        else:
            outcome.result = task.result()
        return outcome

    async def _begin(self, call: Awaitable[Any], disturbance: Disturbance) -> Any:
        # What other tasks of the sink do before the call begins does not count.
        disturbance.task = asyncio.current_task()
        self._disturbance = disturbance
        return await call

    # Points

    def _new_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        task = asyncio.Task(_Watched(coro, self), loop=loop, **options)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    @property
    def _active(self) -> Disturbance | None:
        disturbance = self._disturbance
        if disturbance is None or disturbance.task is None or disturbance.task.done():
            return None
        # The task of the test waits for the call, which is no waiting of the sink.
        return None if asyncio.current_task() is self._tester else disturbance

    def waits(self) -> None:
        """One of the tasks begins to wait."""
        if disturbance := self._active:
            disturbance.waits(self._points + 1)

    def goes_on(self) -> BaseException | None:
        """One of the tasks goes on. Return an error to raise in it."""
        if disturbance := self._active:
            self._points += 1
            first = asyncio.current_task() is disturbance.task
            return disturbance.goes_on(self._points, first=first)
        return None

    # Answers

    def _watched(self, create: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def connect(factory: Callable[[], Any], *args: Any, **options: Any) -> Any:
            return await create(lambda: self._watch(factory()), *args, **options)

        return connect

    def _watch(self, protocol: Any) -> Any:
        """Have answers to ``protocol`` pass by the disturbance, if it can be told to."""
        transports: list[asyncio.Transport] = []
        made, received = protocol.connection_made, getattr(protocol, "data_received", None)

        def connection_made(transport: asyncio.Transport) -> None:
            transports.append(transport)
            made(transport)

        def data_received(data: bytes) -> None:
            if not self._is_lost():
                assert received
                received(data)
                return
            for transport in transports:
                transport.abort()

        # A protocol with slots takes no other methods. Its answers don't get lost then.
        with contextlib.suppress(AttributeError):
            if received:
                protocol.connection_made = connection_made
                protocol.data_received = data_received
        return protocol

    def _is_lost(self) -> bool:
        if disturbance := self._active:
            self._answers += 1
            return disturbance.loses(self._answers)
        return False


class _Watched(Coroutine[Any, Any, Any]):
    """A task's coroutine, which tells a driver when it waits and when it goes on."""

    def __init__(self, coro: Any, driver: Driver) -> None:
        self._coro = coro
        self._driver = driver
        self._began = False

    def send(self, value: Any) -> Any:
        error = self._driver.goes_on() if self._began else None
        self._began = True
        waited_for = self._coro.throw(error) if error else self._coro.send(value)
        self._driver.waits()
        return waited_for

    def throw(self, *error: Any) -> Any:
        waited_for = self._coro.throw(*error)
        self._driver.waits()
        return waited_for

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Any:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        # What the inspect module asks of a coroutine: cr_running, cr_frame, ...
        return getattr(self._coro, name)
