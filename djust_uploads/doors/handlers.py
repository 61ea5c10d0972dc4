"""Event handlers: how a method is marked as one, and what runs around it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .mixin import UploadMixin


def event_handler(function: Callable[..., Any] | None = None) -> Any:
    """Marks a method that the page may call by ``dj-submit`` or ``dj-click``.

    With or without parentheses, on a function or a coroutine function. In a djust view, use djust's
    own.
    """

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method._djust_uploads_handler = True  # type: ignore[attr-defined]
        return method

    return mark if function is None else mark(function)


def is_event_handler(method: object) -> bool:
    """Whether a method is marked, by our decorator or by djust's."""
    djust_decorators: Mapping[str, Any] = getattr(method, "_djust_decorators", {})
    return hasattr(method, "_djust_uploads_handler") or "event_handler" in djust_decorators


def run_handlers_in_turns(cls: type) -> None:
    """Run each handler in a turn, wherever in the bases it was defined."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, method in list(vars(base).items()):
            if name in seen:
                continue
            seen.add(name)
            is_handler = inspect.isfunction(method) and is_event_handler(method)
            if is_handler and not hasattr(method, "_runs_in_turn"):
                setattr(cls, name, _in_turn(method))


def _in_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def arun(self: UploadMixin, *args: Any, **kwargs: Any) -> Any:
            with self.uploads_turn():
                return await method(self, *args, **kwargs)

        run: Callable[..., Any] = arun
    else:

        @functools.wraps(method)
        def run(self: UploadMixin, *args: Any, **kwargs: Any) -> Any:
            try:
                with self.uploads_turn():
                    return method(self, *args, **kwargs)
            except StopIteration as exc:
                # For example next() on a slot without entries. The future of a handler's thread
                # can't carry it, and nobody would ever be answered; as PEP 479 for coroutines.
                raise RuntimeError(f"{method.__qualname__} raised StopIteration") from exc

    run._runs_in_turn = True  # type: ignore[attr-defined]
    return run
