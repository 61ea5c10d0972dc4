"""Event handlers: how a method is marked as one, and what is called around it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from channels.db import database_sync_to_async


class HasTurns(Protocol):
    """What a handler's object must have. An :class:`~djust_uploads.UploadMixin` has it."""

    def uploads_turn(self) -> AbstractContextManager[None]:
        """Return the context in which a handler runs."""


def event_handler(function: Callable[..., Any] | None = None) -> Any:
    """Mark a method that the page may call with ``dj-submit`` or ``dj-click``.

    The decorator works with and without parentheses, on functions and on coroutine functions. In a
    djust view, use djust's own decorator.
    """

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method._djust_uploads_handler = True  # type: ignore[attr-defined]
        return method

    return mark if function is None else mark(function)


def is_event_handler(method: object) -> bool:
    """Return whether a method is marked, with our decorator or with djust's."""
    djust_decorators: Mapping[str, Any] = getattr(method, "_djust_decorators", {})
    return hasattr(method, "_djust_uploads_handler") or "event_handler" in djust_decorators


def run_handlers_in_turns(cls: type) -> None:
    """Wrap each handler of a class so that it runs in a turn, whichever base class defines it."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, method in list(vars(base).items()):
            if name in seen:
                continue
            seen.add(name)
            is_handler = inspect.isfunction(method) and is_event_handler(method)
            if is_handler and not hasattr(method, "_runs_in_turn"):
                setattr(cls, name, _in_turn(method))


async def call(function: Callable[..., Any], /, **params: Any) -> Any:
    """Call a method of the application, in a thread unless it is a coroutine function."""
    if inspect.iscoroutinefunction(function):
        return await function(**params)
    # Channels has one thread for all thread-sensitive calls. A handler that saves a large file
    # there would keep the handlers of all other pages waiting.
    return await database_sync_to_async(function, thread_sensitive=False)(**params)


def _in_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def arun(self: HasTurns, *args: Any, **kwargs: Any) -> Any:
            with self.uploads_turn():
                return await method(self, *args, **kwargs)

        run: Callable[..., Any] = arun
    else:

        @functools.wraps(method)
        def run(self: HasTurns, *args: Any, **kwargs: Any) -> Any:
            try:
                with self.uploads_turn():
                    return method(self, *args, **kwargs)
            except StopIteration as exc:
                # For example, next() was called on a slot without entries. The future of the
                # handler's thread cannot carry a StopIteration, so the client would never be
                # answered. PEP 479 solves the same problem for coroutines in this way.
                raise RuntimeError(f"{method.__qualname__} raised StopIteration") from exc

    run._runs_in_turn = True  # type: ignore[attr-defined]
    return run
