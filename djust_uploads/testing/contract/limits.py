"""The time that a test may take, whatever a sink does: it may wait for ever, or block the loop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

#: Seconds after which a test that does not end by itself is interrupted, and interrupted again.
GRACE = 1.0


class Stuck(KeyboardInterrupt):
    """Ends an event loop that no timer can end. asyncio passes on no other kind of exception."""


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise :class:`Stuck` in the body again and again after so many seconds.

    It needs signals: on Windows and outside of the main thread, nothing is interrupted.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, interrupt)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
