"""Requests to a store that go on when the call that began them has returned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class Sending:
    """The tasks of one sink in which its writers send to the store."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that :meth:`aclose` ends."""
        task = asyncio.create_task(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Cancel the tasks of the running event loop and wait for them.

        Do this before the connections are closed. A request that still runs would open a new
        connection, which nobody would close.
        """
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class OneAtATime:
    """Makes the requests of one writer one after the other.

    If the task that waits for a request is cancelled, the request goes on. The next request begins
    when it has ended.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[Any] | None = None

    async def run(self, begin: Callable[[], Awaitable[asyncio.Future[Any]]]) -> asyncio.Future[Any]:
        """Begin a request, wait until it has ended, and return its future.

        The future has the result or the error of the request. The requests that were begun before
        are waited for first.
        """
        await self.quiet()
        self._running = running = await begin()
        # If the waiter is cancelled, nobody looks at the error. asyncio must not report that.
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await self.quiet()
        return running

    async def quiet(self) -> None:
        """Return when no request is on its way."""
        if self._running:
            # To await the future itself would cancel the request when the waiter is cancelled.
            await asyncio.wait([self._running])
