"""What uploads have taken of their quotas, and how it is given back when they end."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from channels.db import database_sync_to_async
from django.core.cache import BaseCache, caches

from ..exceptions import UploadLocked
from ..settings import upload_settings
from ..slots.status import Status
from .counters import SPAN, Places, seconds_left, subtract

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry
    from ..transfer.transfer import Transfer

logger: logging.Logger = logging.getLogger("djust_uploads")

T = TypeVar("T")

#: Seconds that a question to the cache may take.
CACHE_TIMEOUT = 2.0

#: Seconds for which a cache that has failed is not asked again.
PAUSE = 10.0

#: Seconds for which what is given back waits for more.
COLLECTING_TIME = 0.05

#: The key of ``entry.notes`` that says what an upload has taken.
QUOTA = "quota"

#: Seconds for which bytes are counted.
DAY = 24 * 3600

#: The places that uploads of this process have.
places: Places = Places()

_counting = ThreadPoolExecutor(thread_name_prefix="upload-quota")


@dataclass
class Takings:
    """What one upload has taken."""

    #: The names of places.
    places: list[str] = field(default_factory=list)
    #: The keys of counters of bytes, each with the bytes.
    bytes: dict[str, int] = field(default_factory=dict)

    def note(self, entry: UploadEntry) -> None:
        """Note it with the upload, in whatever process it goes on."""
        entry.notes[QUOTA] = {"places": self.places, "bytes": self.bytes}

    def give_back_now(self, cache: BaseCache) -> None:
        """Give everything back. Blocks."""
        for name in self.places:
            places.give_back(cache, name, 1)
        for key, size in self.bytes.items():
            subtract(cache, key, size, 2 * DAY)


def hold(transfer: Transfer) -> None:
    """Give back what an upload has taken when its transfer ends."""
    if QUOTA in transfer.entry.notes:
        transfer.ended_hook = _ended
        _renewal.begin()


async def adopt(entry: UploadEntry, since: float) -> None:
    """Hold the places of an upload that another process had at the time ``since``."""
    names: list[str] = entry.notes.get(QUOTA, {}).get("places", [])
    if names and not await in_cache(_adopt, names, since, undo=partial(_undo_adopt, names)):
        # The cache fails. Without it, nothing is counted.
        _take_out(entry, "places")


def _adopt(cache: BaseCache, names: list[str], since: float) -> bool:
    with places.all_or_none():
        for name in names:
            places.adopt(cache, name, since)
    return True


def forget_places(entry: UploadEntry) -> None:
    """Note that a complete upload of another process has given its places back.

    It had saved before that what it had taken.
    """
    if QUOTA in entry.notes:
        _take_out(entry, "places")


def _undo_adopt(names: list[str], cache: BaseCache, adopted: bool) -> None:
    for name in names:
        places.give_back(cache, name, 1)


def _ended(transfer: Transfer) -> None:
    entry = transfer.entry
    goes_on = transfer.suspending and transfer.is_saved
    if goes_on or isinstance(transfer.client.stopped, UploadLocked):
        for name in _take_out(entry, "places"):
            places.leave(name)
    elif entry.status in (Status.COMPLETE, Status.CONSUMED):
        _returns.add(_take_out(entry, "places"), {})
    else:
        give_back(entry)


def give_back(entry: UploadEntry) -> None:
    """Give back what an upload has taken that has failed, was cancelled, or has not begun."""
    if QUOTA in entry.notes:
        _returns.add(_take_out(entry, "places"), _take_out(entry, "bytes"))


def _take_out(entry: UploadEntry, what: str) -> Any:
    """Return a part of what an upload has taken, and note that it has it no longer."""
    noted = entry.notes[QUOTA]
    entry.notes[QUOTA] = {**noted, what: type(noted[what])()}
    return noted[what]


class _Returns:
    """Gives back together what many uploads give back within a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._begun = False

    def add(self, names: list[str], sizes: dict[str, int]) -> None:
        """Give places and bytes back soon. Call it on an event loop."""
        with self._lock:
            self._places.update(names)
            self._bytes.update(sizes)
            begins, self._begun = not self._begun, True
        if begins:
            _start(self._give_back())

    async def _give_back(self) -> None:
        pause = COLLECTING_TIME
        try:
            while self._begun:
                await asyncio.sleep(pause)
                pause = COLLECTING_TIME if await in_cache(self._flush) else PAUSE
        except asyncio.CancelledError:
            # The event loop ends. What is left is given back with what another one adds.
            with self._lock:
                self._begun = False
            raise

    def _flush(self, cache: BaseCache) -> bool:
        while True:
            with self._lock:
                if not self._places and not self._bytes:
                    self._begun = False
                    return True
                held = self._places.popitem() if self._places else None
                size = self._bytes.popitem() if self._bytes else None
            if held:
                places.give_back(cache, *held)
            if size:
                subtract(cache, *size, 2 * DAY)


class _Renewal:
    """Counts the places of this process anew, as long as it has some."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """Renew now and then, on this event loop, unless another one does."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
            # A process that takes an upload over relies on this: its places are counted in the span
            # of its last checkpoint and in the next one. So they must be as soon as a span begins.
            self._loop.call_later(min(SPAN / 3, seconds_left()), self._due)

    def _due(self) -> None:
        loop, self._loop = self._loop, None
        if places and loop:
            _start(in_cache(places.renew))
            self.begin()


_returns = _Returns()
_renewal = _Renewal()

#: The tasks that were started. asyncio only holds weak references.
_tasks: set[asyncio.Task[Any]] = set()


def _start(coroutine: Coroutine[Any, Any, object]) -> None:
    task = asyncio.ensure_future(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


class _Outage:
    """Whether the cache has failed a moment ago."""

    until = 0.0


async def in_cache(
    function: Callable[..., T], *args: Any, undo: Callable[[BaseCache, T], object] | None = None
) -> T | None:
    """Call ``function`` with the cache in a thread. Return ``None`` if the cache fails.

    A cache that has failed is not asked for some seconds. If nobody waits for the answer any more
    when it comes, ``undo`` is called with it.
    """
    if time.monotonic() < _Outage.until:
        return None
    call = _Call(function, args, undo)
    run = database_sync_to_async(call.run, thread_sensitive=False, executor=_counting)
    try:
        async with asyncio.timeout(CACHE_TIMEOUT):
            result: T = await run()
            return result
    except Exception:
        logger.exception("quotas are not counted: the cache failed")
        _Outage.until = time.monotonic() + PAUSE
        call.abandon()
        return None
    except asyncio.CancelledError:
        call.abandon()
        raise


class _Call(Generic[T]):
    """A call with the cache, for which somebody waits, or nobody any more."""

    def __init__(
        self,
        function: Callable[..., T],
        args: Any,
        undo: Callable[[BaseCache, T], object] | None,
    ) -> None:
        self._function = function
        self._args = args
        self._undo = undo
        self._lock = threading.Lock()
        self._abandoned = False
        self._results: list[T] = []

    def run(self) -> T:
        """Make the call. Blocks."""
        cache = caches[upload_settings().quota_cache]
        result = self._function(cache, *self._args)
        with self._lock:
            self._results.append(result)
            abandoned = self._abandoned
        if abandoned and self._undo:
            self._undo(cache, result)
        return result

    def abandon(self) -> None:
        """Let the result be undone, when there is one."""
        with self._lock:
            self._abandoned = True
            results = list(self._results)
        if (undo := self._undo) and results:
            _start(_insist(lambda cache: undo(cache, results[0])))


async def _insist(function: Callable[[BaseCache], object]) -> None:
    """Call ``function`` with the cache once, when the cache is asked again."""
    begun = False

    def call(cache: BaseCache) -> None:
        nonlocal begun
        begun = True
        function(cache)

    while not begun:
        await asyncio.sleep(max(0.0, _Outage.until - time.monotonic()))
        await in_cache(call)
