"""Lets code that is not ``async`` use the uploads of its process, which live on an event loop.

On an ASGI server, that is the loop on which the server runs. A process without one, for example one
of a WSGI server, gets a loop of its own in a thread. It must always be the same loop, because an
upload that one request has stored may be taken by the next one.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, async_to_sync
from django.core.exceptions import SynchronousOnlyOperation

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_own: tuple[int, asyncio.AbstractEventLoop] | None = None


def run(function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a coroutine function on the loop of this process's uploads, and return its result.

    Blocks. Raises what the function raises, and ``SynchronousOnlyOperation`` on an event loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise SynchronousOnlyOperation(
            "Uploads in forms can't be validated on an event loop. "
            "Use 'await sync_to_async(form.is_valid)()'."
        )
    if _servers_loop_runs():
        result: T = async_to_sync(function)(*args, **kwargs)
        return result
    return _in_own_loop(lambda: function(*args, **kwargs))


def _servers_loop_runs() -> bool:
    """Return whether this thread works for an event loop of ``sync_to_async()``."""
    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    pid = getattr(SyncToAsync.threadlocal, "main_event_loop_pid", None)
    return loop is not None and pid == os.getpid() and loop.is_running()


def _in_own_loop(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    result: Future[T] = Future()
    loop = _own_loop()

    async def settle() -> None:
        try:
            result.set_result(await call())
        except BaseException as exc:
            result.set_exception(exc)

    def start() -> None:
        running.append(loop.create_task(settle()))

    running: list[asyncio.Task[None]] = []
    loop.call_soon_threadsafe(start, context=contextvars.copy_context())
    return result.result()


def _own_loop() -> asyncio.AbstractEventLoop:
    global _own
    with _lock:
        # A forked process has none of its parent's threads.
        if _own is None or _own[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="djust-uploads", daemon=True).start()
            _own = os.getpid(), loop
        return _own[1]
