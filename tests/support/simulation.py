"""Several server processes in one, a step at a time: a loop whose clock stands still until told to
go on, and whose threads run when told to, from one question to the cache to the next.

What happens in which order is decided by whoever calls :meth:`World.turn`, so it can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from djust_uploads.resuming.parking import Parking

_process: contextvars.ContextVar[Process] = contextvars.ContextVar("process")
_thread = threading.local()


class Died(BaseException):
    """What the code of a process that was killed meets wherever it would reach the outside."""


class Process:
    """One server process: its parking, its tasks, and all that its code does in ``context``."""

    def __init__(self) -> None:
        self.parking = Parking()
        #: In the order of their creation, so that a run can be repeated.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.ended = False
        self.context = contextvars.copy_context()
        self.context.run(_process.set, self)

    def check_alive(self) -> None:
        if self.ended:
            raise Died


def this_process() -> Process:
    return _process.get()


class ParkingOfThisProcess:
    """In the place of the one that each real process has."""

    def __getattr__(self, name: str) -> Any:
        return getattr(this_process().parking, name)


class Job:
    """A call in a thread, which stops before each question to the cache."""

    def __init__(self, process: Process, future: asyncio.Future[Any], call: Callable[[], Any]):
        self.process, self.future = process, future
        self.asks_cache = self.ended = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._call = call
        self._thread: threading.Thread | None = None

    def step(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._go.release()
        self._stopped.acquire()

    def stop(self) -> None:
        """Of a process that was killed."""
        while self._thread and not self.ended:
            self.step()

    def ask_cache(self) -> None:
        self.asks_cache = True
        self._stopped.release()
        self._go.acquire()
        self.asks_cache = False
        self.process.check_alive()

    def deliver(self) -> None:
        if self.future.done():
            return
        if self._error:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def _run(self) -> None:
        self._go.acquire()
        _thread.job = self
        self._result, self._error = None, None
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        self.ended = True
        self._stopped.release()


class SimulatedLoop(asyncio.SelectorEventLoop):
    """``jobs``: calls that were given to threads and have not returned."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.jobs: list[Job] = []
        super().__init__()
        self.set_task_factory(self._create_task)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        process = this_process()
        process.check_alive()
        future = self.create_future()
        self.jobs.append(Job(process, future, lambda: func(*args)))
        return future

    def _create_task(self, loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        process = context[_process] if context else this_process()
        process.tasks[task] = None
        task.add_done_callback(process.tasks.pop)
        task.add_done_callback(self._check_task)
        return task

    def _check_task(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error:
            self.call_exception_handler({"message": "a task raised", "exception": error})


class World:
    """Processes that share a cache. ``errors``: what was raised where nobody would hear of it."""

    def __init__(self) -> None:
        self.loop = SimulatedLoop()
        self.errors: list[Any] = []
        self.processes: list[Process] = []
        self.loop.set_exception_handler(self._take_error)
        self.cache_fails = self.cache_hangs = False
        self.cached: dict[str, tuple[str, float]] = {}
        SharedCache.world = self

    def new_process(self) -> Process:
        self.processes.append(Process())
        return self.processes[-1]

    def turn(self, which: int = 0) -> None:
        """Let a thread go on, if one can, and then the loop, once around."""
        if able := self._able():
            job = able[which % len(able)]
            job.step()
            if job.ended:
                self.loop.jobs.remove(job)
                job.deliver()
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        assert not self.errors, list(self.errors)

    def _able(self) -> list[Job]:
        return [job for job in self.loop.jobs if not (self.cache_hangs and job.asks_cache)]

    def settle(self) -> None:
        """Until nothing can happen before time passes."""
        for _ in range(100_000):
            # Also finds the timers that are due.
            self.turn()
            if not self._able() and not self.loop._ready:
                return
        raise AssertionError("it never comes to rest")

    def wait(self, seconds: float) -> None:
        """As if nothing else kept the process busy: what is due earlier happens earlier."""
        end = self.loop.now + seconds
        while True:
            self.settle()
            due = [timer.when() for timer in self.loop._scheduled if not timer.cancelled()]
            self.loop.now = max(self.loop.now, min([end, *due]))
            if self.loop.now >= end:
                self.settle()
                return

    @contextlib.contextmanager
    def checking(self) -> Iterator[None]:
        """What is found wrong is not lost, though the code that called us lets nothing through."""
        try:
            yield
        except Exception as error:
            self.errors.append(error)
            raise

    def _take_error(self, loop: Any, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Died):
            self.errors.append(context)

    def start(self, process: Process, coro: Any) -> asyncio.Task[Any]:
        return self.loop.create_task(coro, context=process.context)

    def kill(self, process: Process) -> None:
        """It does nothing more: what its code does from now on comes to nothing."""
        process.ended = True
        for job in [job for job in self.loop.jobs if job.process is process]:
            self.loop.jobs.remove(job)
            job.stop()
        # Again: what a task does when it is cancelled may wait for something too.
        for _ in range(10):
            self._cancel_tasks(process)
            self.settle()
        assert not process.tasks

    def shut_down(self, process: Process) -> None:
        """Its tasks are cancelled, and have the time that they need."""
        self._cancel_tasks(process)
        for _ in range(100):
            self.wait(1)
        assert not process.tasks, process.tasks
        process.ended = True

    def _cancel_tasks(self, process: Process) -> None:
        for task in list(process.tasks):
            task.cancel()
        for timer in process.parking._timers.values():
            timer.cancel()

    def close(self) -> None:
        """Whatever state a test that failed has left it in."""
        self.errors.clear()
        self.loop.set_exception_handler(lambda _loop, context: None)
        for process in self.processes:
            self.kill(process)
        self.loop.close()


class SharedCache(BaseCache):
    """A Django cache that all processes share, on the world's clock."""

    world: World

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        self._ask()
        found = self._found(key)
        return default if found is None else json.loads(found)

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> bool:
        self._ask()
        if self._found(key) is not None:
            return False
        self._store(key, value, timeout)
        return True

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> None:
        self._ask()
        self._store(key, value, timeout)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        self._ask()
        found = self._found(key)
        if found is not None:
            self._store(key, json.loads(found), timeout)
        return found is not None

    def delete(self, key: str, version: Any = None) -> bool:
        self._ask()
        return self.world.cached.pop(key, None) is not None

    def _ask(self) -> None:
        _thread.job.ask_cache()
        if self.world.cache_fails:
            raise ConnectionError("the cache is down")

    def _found(self, key: str) -> str | None:
        value, expires = self.world.cached.get(key, (None, 0.0))
        return value if expires > self.world.loop.now else None

    def _store(self, key: str, value: Any, timeout: float) -> None:
        self.world.cached[key] = json.dumps(value), self.world.loop.now + timeout
