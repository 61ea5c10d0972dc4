"""Requests of a sink to its store that run beside the calls that began them."""

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

        Do this before the connections are closed: a request on its way would open a connection
        again that nobody closes.
        """
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class OneAtATime:
    """Makes the requests of one writer one after the other.

    A request whose waiter was cancelled goes on. The next request begins when it has ended.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[Any] | None = None

    async def run(self, begin: Callable[[], Awaitable[asyncio.Future[Any]]]) -> asyncio.Future[Any]:
        """Begin a request and return its future when it has ended, with its result or its error."""
        await self.quiet()
        self._running = running = await begin()
        # An error that nobody waits for any more must not be reported as never retrieved.
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await self.quiet()
        return running

    async def quiet(self) -> None:
        """Return when no request is on its way."""
        if self._running:
            # Unlike awaiting the future, this does not cancel the request when its waiter is
            # cancelled.
            await asyncio.wait([self._running])
