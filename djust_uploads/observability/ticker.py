"""``Ticker``: calls a function every few seconds while there is something to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger: logging.Logger = logging.getLogger("djust_uploads")


class Ticker:
    """Calls ``tick()`` in a thread, at once and then every so many ``seconds``.

    It ends when ``tick()`` has returned ``False``, and :meth:`wake` was not called since the call
    before. So there is always a call when the last change is at least ``seconds`` old.

    It has a thread and not a task, because the uploads of one process may be on several event
    loops, and a call may block.
    """

    def __init__(self, seconds: float, tick: Callable[[], bool], name: str) -> None:
        self._seconds = seconds
        self._tick = tick
        self._name = name
        self._lock = threading.Lock()
        self._running = self._woken = self._failed = False

    def wake(self) -> None:
        """Note that something has changed."""
        with self._lock:
            self._woken = True
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                woken, self._woken = self._woken, False
            goes_on = self._ticked() or woken
            with self._lock:
                if not goes_on and not self._woken:
                    self._running = False
                    return
            time.sleep(self._seconds)

    def _ticked(self) -> bool:
        try:
            goes_on = self._tick()
        except Exception:
            # A cache that is down for an hour would fill the log.
            if not self._failed:
                logger.exception("%s failed", self._name)
            self._failed = True
            return True
        self._failed = False
        return goes_on
