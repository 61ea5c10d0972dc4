"""Counters in Django's cache, which all processes share.

A counter belongs to a span of time, and is forgotten some time after it. ``add()`` and ``incr()``
of Redis and Memcached are atomic, so of two processes that count at the same time, none is lost.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from django.core.cache import BaseCache

#: Seconds of the span in which places are counted. The places of a process that was killed are free
#: after two of them at most.
SPAN = 60


def add(cache: BaseCache, key: str, number: int, seconds: int) -> int:
    """Add to a counter, which begins at 0, and return its value. Blocks."""
    try:
        value = cache.incr(key, number)
    except ValueError:
        if cache.add(key, number, seconds):
            return number
        value = cache.incr(key, number)
    if type(cache).incr is BaseCache.incr:
        # It has set the key anew, for the seconds that the cache has by default.
        cache.touch(key, seconds)
    return int(value)


def subtract(cache: BaseCache, key: str, number: int, seconds: int) -> None:
    """Take from a counter. One that is forgotten stays so. Blocks."""
    try:
        cache.decr(key, number)
    except ValueError:
        return
    if type(cache).decr is BaseCache.decr:
        cache.touch(key, seconds)


class Places:
    """Counts what this process holds, among what all processes hold.

    What is held is counted in the present span and in the next one. Each process adds what it holds
    to the counter of the span after that, when a new one has begun (:meth:`renew`). What a killed
    process has held is forgotten with the spans in which it is counted.
    """

    def __init__(self) -> None:
        #: Held while the cache is asked, so that what is held and what is counted agree.
        self._asking = threading.Lock()
        #: Held for moments only, because the event loop waits for it.
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        #: The last span in which what is held is counted.
        self._counted_to: dict[str, int] = {}
        #: In a thread within :meth:`all_or_none`: what it holds more than before.
        self._block = threading.local()

    def __bool__(self) -> bool:
        """Whether something is held."""
        return bool(self._held)

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Hold nothing of what this thread takes within the block if the block raises.

        The cache may fail between two of its answers. It forgets in time what it has counted.
        """
        self._block.more = more = Counter[str]()
        try:
            yield
        except BaseException:
            for name, number in list(more.items()):
                self.leave(name, number)
            raise
        finally:
            del self._block.more

    def take(self, cache: BaseCache, name: str, number: int, limit: int) -> int:
        """Take up to ``number`` places of ``limit``, and return how many. Blocks."""
        with self._asking:
            span = present_span()
            self._renew(cache, name, span)
            total = add(cache, _key(name, span), number, 3 * SPAN)
            taken = max(0, number - max(0, total - limit))
            if taken < number:
                subtract(cache, _key(name, span), number - taken, 3 * SPAN)
            if taken:
                add(cache, _key(name, span + 1), taken, 3 * SPAN)
                self._hold(name, taken, span)
        return taken

    def adopt(self, cache: BaseCache, name: str, since: float) -> None:
        """Hold a place that another process has counted at the time ``since``. Blocks."""
        with self._asking:
            span = present_span()
            self._renew(cache, name, span)
            # It has counted the place in the span of that time and in the next one.
            for due in range(max(span, int(since) // SPAN + 2), span + 2):
                add(cache, _key(name, due), 1, 3 * SPAN)
            self._hold(name, 1, span)

    def _hold(self, name: str, number: int, span: int) -> None:
        with self._lock:
            self._held[name] = self._held.get(name, 0) + number
            self._counted_to.setdefault(name, span + 1)
        self._note(name, number)

    def _note(self, name: str, number: int) -> None:
        if (more := getattr(self._block, "more", None)) is not None:
            more[name] += number

    def leave(self, name: str, number: int = 1) -> None:
        """Hold places no longer, and leave them counted: another process has the uploads."""
        with self._lock:
            left = self._held.get(name, 0) - number
            if left > 0:
                self._held[name] = left
            else:
                self._held.pop(name, None)
                self._counted_to.pop(name, None)
        self._note(name, -number)

    def give_back(self, cache: BaseCache, name: str, number: int) -> None:
        """Give places back. Blocks."""
        if not number:
            return
        with self._asking:
            try:
                for span in range(present_span(), self._counted_to.get(name, 0) + 1):
                    subtract(cache, _key(name, span), number, 3 * SPAN)
            finally:
                # If the cache fails, it forgets them in time.
                self.leave(name, number)

    def renew(self, cache: BaseCache) -> None:
        """Count what is held in the next span too. Blocks."""
        for name in list(self._held):
            with self._asking:
                self._renew(cache, name, present_span())

    def _renew(self, cache: BaseCache, name: str, span: int) -> None:
        with self._lock:
            held, counted_to = self._held.get(name, 0), self._counted_to.get(name, span + 1)
        due = range(max(span, counted_to + 1), span + 2)
        for each in due if held else ():
            add(cache, _key(name, each), held, 3 * SPAN)
        with self._lock:
            if due and name in self._held:
                self._counted_to[name] = span + 1


def present_span() -> int:
    """Return the number of the span that it is now."""
    return int(time.time()) // SPAN


def seconds_left() -> float:
    """Return how long this span lasts from now on."""
    return SPAN - time.time() % SPAN


def _key(name: str, span: int) -> str:
    return f"{name}:uploads:{span}"
