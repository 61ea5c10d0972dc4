"""Runs blocking calls of this package in threads. Many calls at once cost little.

``asyncio.to_thread()`` wakes a thread for each call, and wakes the event loop for each result. With
a thousand uploads, that took longer than to move their bytes. Here a thread that has finished a
call takes the next one without being woken. The event loop gets all results that are ready in one
go.

Do not run an application's code here. It may block for long, and it expects its context variables.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: The most threads for each event loop. asyncio's own executor has as many.
THREADS = min(32, (os.cpu_count() or 1) + 4)


async def in_thread(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a function in a thread, and return what it returns.

    Raises what the function raises. If the waiter is cancelled, a call that has begun goes on, and
    a call that has not begun is not made.
    """
    loop = asyncio.get_running_loop()
    threads = _threads.get(loop)
    if threads is None:
        threads = _threads[loop] = _Threads()
    # The future has no name in this frame. An error's traceback refers to the frame, so the future
    # and its error would otherwise refer to each other, and stay in memory until a garbage
    # collection.
    result: T = await threads.call(loop.create_future(), function, args)
    return result


class _Threads:
    """The threads of one event loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="djust-uploads")
        self._lock = threading.Lock()
        self._calls: deque[tuple[asyncio.Future[Any], Callable[..., Any], Any]] = deque()
        self._done: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        self._working = 0

    def call(
        self, future: asyncio.Future[Any], function: Callable[..., Any], args: Any
    ) -> asyncio.Future[Any]:
        with self._lock:
            self._calls.append((future, function, args))
            starts = self._working < THREADS
            self._working += starts
        if starts:
            self._executor.submit(self._work)
        return future

    def _work(self) -> None:
        while call := self._next():
            self._make(*call)
            # An error's traceback refers to this frame, by ``f_back``.
            del call

    def _next(self) -> tuple[asyncio.Future[Any], Callable[..., Any], Any] | None:
        with self._lock:
            if self._calls:
                return self._calls.popleft()
            self._working -= 1
            return None

    def _make(self, future: asyncio.Future[Any], function: Callable[..., Any], args: Any) -> None:
        if future.cancelled():
            return
        outcome = _outcome(function, args)
        with self._lock:
            self._done.append((future, *outcome))
            first = len(self._done) == 1
        if first:
            try:
                future.get_loop().call_soon_threadsafe(self._hand_over)
            except RuntimeError:
                # The loop is closed, so nobody waits for the results. They would keep it in memory.
                self._done.clear()
        del future, outcome

    def _hand_over(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        for future, result, error in done:
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _outcome(function: Callable[..., Any], args: Any) -> tuple[Any, BaseException | None]:
    # This frame has no name for the future, for the same reason as in_thread().
    try:
        return function(*args), None
    except BaseException as exc:
        return None, exc


_threads: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Threads] = (
    weakref.WeakKeyDictionary()
)
