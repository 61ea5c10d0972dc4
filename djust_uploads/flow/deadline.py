"""``Deadline``: a timeout for calls that are made for every chunk."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Does what ``asyncio.timeout()`` does, for many short waits of one task::

        with deadline.within(60):
            await writer.write(chunk)

    Raises ``TimeoutError`` if a wait takes longer. The timer stays set from one wait to the next.
    When it fires, it looks whether the present wait has lasted too long, and is set again if not.
    To set and cancel a timer for each of a thousand waits a second costs more than most of the
    waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: The time at which the present wait has lasted too long, or ``None`` between two waits.
        self._at: float | None = None
        self._expired = False
        self._cancelling = 0

    def within(self, seconds: float) -> Deadline:
        """Return the context of a wait that may take this many seconds."""
        self._at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at:
            self._arm(self._at)
        return self

    def close(self) -> None:
        """Cancel the timer."""
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
        # If somebody else has cancelled the task at the same moment, it must stay cancelled.
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
