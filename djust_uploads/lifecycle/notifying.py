"""``notify()`` tells all observers what has happened to an upload."""

from __future__ import annotations

import contextlib
import logging
import threading
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

#: Uploads on different event loops have the same observers.
_creating = threading.Lock()


def notify(
    event: Callable[Concatenate[Observer, P], None], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Call a method of all observers: ``notify(Observer.started, entry)``."""
    for method in heard_by(event.__name__):
        try:
            method(*args, **kwargs)
        except Exception:
            logger.exception("%s raised", method.__qualname__)


def observers() -> tuple[Observer, ...]:
    """Return all observers of this process. They are created when this is first called."""
    with _creating:
        return _created()


@cache
def _created() -> tuple[Observer, ...]:
    found: list[Observer] = [Logs(), Signals()]
    for path in upload_settings().observers:
        try:
            found.append(create_observer(path))
        except ImproperlyConfigured:
            # manage.py check reports it. Uploads go on without the observer.
            logger.exception("the observer %s can't be created", path)
    return tuple(found)


@cache
def heard_by(event: str) -> tuple[Callable[..., None], ...]:
    """Return the methods of those observers that want to hear of an event."""
    own = getattr(Observer, event)
    return tuple(
        getattr(observer, event)
        for observer in observers()
        if getattr(type(observer), event) is not own
    )


def import_observers() -> None:
    """Import the classes of the observers, so that the first upload need not do so.

    Mistakes in the settings are left to ``manage.py check``, which reports them.
    """
    with contextlib.suppress(Exception):
        for path in upload_settings().observers:
            import_string(path)


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
        _created.cache_clear()
        heard_by.cache_clear()


setting_changed.connect(_reset)
