"""A timeout for what is called for every chunk."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """``asyncio.timeout()`` for the many short waits of one task, one after the other::

        with deadline.within(60):
            await writer.write(chunk)

    Raises ``TimeoutError`` as that does. But its timer stays armed from one wait to the next, and
    looks when it fires whether it is still too early: arming and disarming a timer for each of a
    thousand waits a second costs more than most of them take.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: When the wait has lasted too long; ``None`` between two of them.
        self._at: float | None = None
        self._expired = False
        self._cancelling = 0

    def within(self, seconds: float) -> Deadline:
        self._at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at:
            self._arm(self._at)
        return self

    def close(self) -> None:
        """Take down the timer."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        assert self._task
        self._cancelling = self._task.cancelling()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._at = None
        if not self._expired:
            return
        self._expired = False
        assert self._task
        # Somebody else may have cancelled the task in the same moment; that goes first.
        if self._task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc

    def _arm(self, at: float) -> None:
        self.close()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._arm(self._at)
            return
        assert self._task
        self._expired = True
        self._task.cancel()
