"""``notify()`` tells all observers what has happened to an upload."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Concatenate, ParamSpec

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..settings import upload_settings
from .logs import Logs
from .observer import Observer
from .sending import Signals

logger: logging.Logger = logging.getLogger("djust_uploads")

P = ParamSpec("P")


def notify(
    event: Callable[Concatenate[Observer, P], None], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Call a method of all observers: ``notify(Observer.started, entry)``."""
    for observer in observers():
        try:
            getattr(observer, event.__name__)(*args, **kwargs)
        except Exception:
            logger.exception("%s.%s() raised", type(observer).__name__, event.__name__)


@cache
def observers() -> tuple[Observer, ...]:
    """Return all observers of this process. They are created when this is first called."""
    found: list[Observer] = [Logs(), Signals()]
    for path in upload_settings().observers:
        try:
            found.append(create_observer(path))
        except ImproperlyConfigured:
            # manage.py check reports it. Uploads go on without the observer.
            logger.exception("the observer %s can't be created", path)
    return tuple(found)


@cache
def sink_observers() -> tuple[Observer, ...]:
    """Return those observers that want to hear of each call to a sink."""
    silent = Observer.called_sink
    return tuple(one for one in observers() if type(one).called_sink is not silent)


def create_observer(path: str) -> Observer:
    """Return an observer of the class at an import path.

    Raises ``ImproperlyConfigured`` if there is none, or if a package that it needs is missing.
    """
    try:
        observer = import_string(path)()
    except ImproperlyConfigured:
        raise
    except Exception as exc:
        raise ImproperlyConfigured(f"{path} can't be created: {exc}") from exc
    if not isinstance(observer, Observer):
        raise ImproperlyConfigured(f"{path} is not an Observer. Got: {observer!r}")
    return observer


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting == "DJUST_UPLOADS":
        observers.cache_clear()
        sink_observers.cache_clear()


setting_changed.connect(_reset)
