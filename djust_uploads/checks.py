"""System checks: they report at the start what would otherwise fail at the first upload.

====  ===============================================================================
E001  A sink in ``DJUST_UPLOADS["SINKS"]`` can't be created.
E002  libmagic is missing.
E003  ``DJUST_UPLOADS`` is not a dictionary, or has an unknown key or a wrong value.
E004  djust's own consumer is routed.
E005  A sink's directory can't be written to.
E006  A sink's store can't be used. This asks the store, so it needs ``check --deploy``.
W006  A sink sends files unencrypted.
E007  A sink's Django storage can't be created.
E008  ``RESUME_CACHE`` can't remember anything.
W009  ``RESUME_CACHE`` serves one process only. This needs ``check --deploy``.
E010  An ``UploadEndpoint`` without ``UploadMixin`` is routed.
W011  An ``UploadEndpoint`` is routed behind a route that takes every path.
W012  There are upload fields in forms, and ``UploadMiddleware`` is missing.
W013  There are upload fields in forms, and ``FormUploads`` is not routed.
W014  ``QUOTA_CACHE`` counts for one process only. This needs ``check --deploy``.
E015  A class in ``OBSERVERS`` can't be created.
E016  ``CHUNK_CHECKSUMS`` needs a package that is missing.
====  ===============================================================================
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import sinks
from .content.sniffing import sniff
from .crc32c import has_crc32c
from .exceptions import InvalidSink, InvalidSlot, SinkMisconfigured
from .lifecycle.notifying import create_observer
from .settings import UploadSettings, upload_settings
from .slots.quotas import check_quotas

#: The names by which MIDDLEWARE may have the middleware of forms.
_MIDDLEWARE = (
    "djust_uploads.forms.UploadMiddleware",
    "djust_uploads.doors.forms.requests.UploadMiddleware",
)


#: The keys of DJUST_UPLOADS whose values are numbers over 0.
_NUMBERS = ("MAX_BUFFERED_BYTES", "SINK_TIMEOUT", "IDLE_TIMEOUT", "RESUME_TTL", "SESSION_INTERVAL")


@register("djust_uploads")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report unknown keys and wrong values in ``DJUST_UPLOADS``."""
    configured = getattr(settings, "DJUST_UPLOADS", {})
    if not isinstance(configured, dict) or not isinstance(configured.get("SINKS", {}), dict):
        return [Error("DJUST_UPLOADS and its SINKS must be dictionaries.", id="djust_uploads.E003")]
    known = UploadSettings.names()
    messages: list[CheckMessage] = [
        Error(
            f"DJUST_UPLOADS has an unknown key {key!r}.",
            hint=f"Known: {', '.join(sorted(known))}.",
            id="djust_uploads.E003",
        )
        for key in configured
        if key not in known
    ]
    # It may be None, which is the default.
    for key in (*_NUMBERS, *(["MAX_FRAME_SIZE"] if configured.get("MAX_FRAME_SIZE") else [])):
        value = configured.get(key, 1)
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            messages.append(
                Error(
                    f"DJUST_UPLOADS[{key!r}] must be a number over 0. Got: {value!r}",
                    id="djust_uploads.E003",
                )
            )
    messages += _check_observer_paths(configured.get("OBSERVERS", ()))
    messages += _check_quotas(configured)
    return messages + _check_origins(configured.get("CORS_ORIGINS", ()))


def _check_quotas(configured: dict[str, Any]) -> list[CheckMessage]:
    wrong = []
    if (quotas := configured.get("QUOTAS")) is not None:
        try:
            check_quotas(quotas)
        except InvalidSlot as exc:
            wrong.append(f"DJUST_UPLOADS['QUOTAS']: {exc}")
    proxies = configured.get("TRUSTED_PROXIES", 0)
    if not isinstance(proxies, int) or isinstance(proxies, bool) or proxies < 0:
        wrong.append(f"DJUST_UPLOADS['TRUSTED_PROXIES'] must be a number from 0. Got: {proxies!r}")
    for key, default in (("CLIENT_ADDRESS_HEADER", "X-Forwarded-For"), ("QUOTA_CACHE", "default")):
        if not isinstance(value := configured.get(key, default), str) or not value:
            wrong.append(f"DJUST_UPLOADS[{key!r}] must be a name. Got: {value!r}")
        elif key == "QUOTA_CACHE" and value not in settings.CACHES:
            wrong.append(f"DJUST_UPLOADS['QUOTA_CACHE'] is no alias in CACHES: {value!r}")
    return [Error(message, id="djust_uploads.E003") for message in wrong]


def _check_observer_paths(paths: Any) -> list[CheckMessage]:
    if isinstance(paths, list | tuple) and all(isinstance(path, str) for path in paths):
        return []
    text = f"DJUST_UPLOADS['OBSERVERS'] must be a list of import paths. Got: {paths!r}"
    return [Error(text, id="djust_uploads.E003")]


def _check_origins(origins: Any) -> list[CheckMessage]:
    if isinstance(origins, list | tuple) and all(map(_is_origin, origins)):
        return []
    return [
        Error(
            "DJUST_UPLOADS['CORS_ORIGINS'] must be a list of origins such as "
            f"'https://app.example.com', without a path, or of '*'. Got: {origins!r}",
            id="djust_uploads.E003",
        )
    ]


def _is_origin(value: Any) -> bool:
    return value == "*" or (
        isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/*]+", value) is not None
    )


@register("djust_uploads")
def check_sinks(**kwargs: Any) -> list[CheckMessage]:
    """Report sinks that can't be created, and what their own checks report."""
    if check_settings():
        return []
    messages: list[CheckMessage] = []
    for alias in sinks:
        try:
            messages += sinks[alias].check()
        except InvalidSink as exc:
            messages.append(Error(str(exc), id="djust_uploads.E001"))
    return messages


@register("djust_uploads")
def check_checksums(**kwargs: Any) -> list[CheckMessage]:
    """Report that ``CHUNK_CHECKSUMS`` needs ``google-crc32c``."""
    if check_settings() or not upload_settings().chunk_checksums or has_crc32c():
        return []
    text = "CHUNK_CHECKSUMS needs google-crc32c: pip install 'djust-uploads[crc32c]'"
    return [Error(text, id="djust_uploads.E016")]


@register("djust_uploads")
def check_observers(**kwargs: Any) -> list[CheckMessage]:
    """Report observers that can't be created."""
    if check_settings():
        return []
    messages: list[CheckMessage] = []
    for path in upload_settings().observers:
        try:
            create_observer(path)
        except ImproperlyConfigured as exc:
            messages.append(Error(str(exc), id="djust_uploads.E015"))
    return messages


@register("djust_uploads", deploy=True)
def check_stores(**kwargs: Any) -> list[CheckMessage]:
    """Report sinks whose stores can't be used. This makes requests."""
    if check_settings():
        return []
    messages: list[CheckMessage] = []
    for alias in sinks:
        # check_sinks() has reported a sink that can't be created.
        with contextlib.suppress(InvalidSink):
            messages += sinks[alias].check_store()
    return messages


@register("djust_uploads")
def check_resume_cache(**kwargs: Any) -> list[CheckMessage]:
    """Report a ``RESUME_CACHE`` that doesn't exist or remembers nothing."""
    if check_settings():
        return []
    alias = upload_settings().resume_cache
    try:
        cache = caches[alias]
    except InvalidCacheBackendError as exc:
        problem = str(exc)
    else:
        if not isinstance(cache, DummyCache):
            return []
        problem = "a dummy cache remembers nothing"
    if "RESUME_CACHE" not in getattr(settings, "DJUST_UPLOADS", {}):
        # This is the default. If no slot is resumable, no cache is needed.
        return []
    return [
        Error(
            f"DJUST_UPLOADS['RESUME_CACHE'] is {alias!r}: {problem}.",
            hint="Name a Redis, Memcached or database cache of CACHES.",
            id="djust_uploads.E008",
        )
    ]


@register("djust_uploads", deploy=True)
def check_resume_cache_shared(**kwargs: Any) -> list[CheckMessage]:
    """Report a ``RESUME_CACHE`` that several processes can't share."""
    if check_settings() or check_resume_cache():
        return []
    alias = upload_settings().resume_cache
    if not isinstance(caches[alias], LocMemCache | FileBasedCache):
        return []
    return [
        Warning(
            f"Interrupted uploads are remembered in the cache {alias!r}, which serves one process "
            "only. They can't be resumed in another process or after a restart.",
            hint="Set DJUST_UPLOADS['RESUME_CACHE'] to a Redis, Memcached or database cache. If no "
            "slot is resumable, silence this check.",
            id="djust_uploads.W009",
        )
    ]


@register("djust_uploads", deploy=True)
def check_quota_cache_shared(**kwargs: Any) -> list[CheckMessage]:
    """Report a ``QUOTA_CACHE`` in which several processes can't count together."""
    if check_settings() or upload_settings().quotas is None:
        return []
    alias = upload_settings().quota_cache
    if not isinstance(caches[alias], LocMemCache | DummyCache):
        return []
    return [
        Warning(
            f"Quotas are counted in the cache {alias!r}, in which each process counts for itself.",
            hint="Set DJUST_UPLOADS['QUOTA_CACHE'] to a Redis or Memcached cache. If you want no "
            "quotas, set DJUST_UPLOADS['QUOTAS'] = None.",
            id="djust_uploads.W014",
        )
    ]


@register("djust_uploads")
def check_libmagic(**kwargs: Any) -> list[CheckMessage]:
    """Report that libmagic is missing."""
    try:
        sniff(b"libmagic?")
    except SinkMisconfigured as exc:
        return [
            Error(
                f"The content of uploads can't be checked: {exc}",
                hint="Install libmagic: 'apt install libmagic1', 'apk add libmagic', "
                "'brew install libmagic'.",
                id="djust_uploads.E002",
            )
        ]
    return []


@register("djust_uploads")
def check_routing(**kwargs: Any) -> list[CheckMessage]:
    """Report djust's own consumer. It does not know our entries, so every upload would fail."""
    if not apps.is_installed("djust"):
        return []
    from .doors.liveview import StockConsumer

    if StockConsumer not in set(_consumers(_application())):
        return []
    return [
        Error(
            "ASGI_APPLICATION routes djust.websocket.LiveViewConsumer, which does not know "
            "djust_uploads.",
            hint="Route djust_uploads.liveview.LiveViewConsumer.as_asgi() in its place.",
            id="djust_uploads.E004",
        )
    ]


@register("djust_uploads")
def check_forms(**kwargs: Any) -> list[CheckMessage]:
    """Report what the upload fields of forms need, if there are any."""
    fields = sys.modules.get("djust_uploads.doors.forms.fields")
    if fields is None or not fields.UploadField.declared:
        return []
    messages: list[CheckMessage] = []
    if not set(settings.MIDDLEWARE) & set(_MIDDLEWARE):
        messages.append(
            Warning(
                "There are upload fields in forms, and UploadMiddleware is not in MIDDLEWARE.",
                hint=f"Add {_MIDDLEWARE[0]!r}. Without it, a form does not know whose uploads it "
                "may take, and forgets its files when it is shown again.",
                id="djust_uploads.W012",
            )
        )
    url = upload_settings().form_uploads_url
    if url not in _form_uploads():
        messages.append(
            Warning(
                f"There are upload fields in forms, and FormUploads is not routed at {url!r}.",
                hint="Route djust_uploads.forms.FormUploads.as_asgi() in asgi.py, and name that "
                "application in ASGI_APPLICATION. Without the route, files come with the POST of "
                "their form. Set DJUST_UPLOADS['FORM_UPLOADS_URL'] for another path.",
                id="djust_uploads.W013",
            )
        )
    return messages


def _form_uploads() -> set[str]:
    """Return the paths at which ``ASGI_APPLICATION`` routes a ``FormUploads``."""
    from .doors.forms.endpoint import FormUploads

    return {
        routed.path
        for routed in _routed(_application())
        if isinstance(routed.target, type) and issubclass(routed.target, FormUploads)
    }


@register("djust_uploads")
def check_endpoints(**kwargs: Any) -> list[CheckMessage]:
    """Report endpoints for HTTP that cannot take uploads, or that no request reaches."""
    from .doors.http.endpoint import UploadEndpoint
    from .doors.mixin import UploadMixin

    messages: list[CheckMessage] = []
    for routed in _routed(_application()):
        app = routed.target
        if not (isinstance(app, type) and issubclass(app, UploadEndpoint)):
            continue
        if not issubclass(app, UploadMixin):
            messages.append(
                Error(
                    f"{app.__qualname__} cannot declare slots.",
                    hint=f"class {app.__name__}(UploadMixin, UploadEndpoint): ...",
                    id="djust_uploads.E010",
                )
            )
        if routed.hidden:
            messages.append(
                Warning(
                    f"No request reaches {app.__qualname__}: a route before it takes every path.",
                    hint='In the URLRouter, move re_path("", ...) to the end.',
                    id="djust_uploads.W011",
                )
            )
    return messages


def _application() -> Any:
    path = getattr(settings, "ASGI_APPLICATION", None)
    try:
        return import_string(path) if path else None
    except Exception:
        # The server imports the application too, and reports the error.
        return None


def _consumers(application: Any) -> Iterator[Any]:
    """Yield the consumer and endpoint classes to which an ASGI application routes."""
    return (routed.target for routed in _routed(application))


@dataclass(frozen=True)
class _Routed:
    """A consumer or endpoint class, the path of its route, and whether requests reach it."""

    target: Any
    path: str
    #: Whether a route before it takes every path.
    hidden: bool


def _routed(application: Any, path: str = "/", hidden: bool = False) -> Iterator[_Routed]:
    """Yield what an ASGI application routes to.

    This looks into Channels' routers and middleware.
    """
    for inner in getattr(application, "application_mapping", {}).values():
        yield from _routed(inner, path, hidden)
    for route in getattr(application, "routes", ()):
        yield from _routed(route.callback, path + str(route.pattern), hidden)
        hidden = hidden or _takes_every_path(route)
    for name in ("inner", "application"):
        if inner := getattr(application, name, None):
            yield from _routed(inner, path, hidden)
    for name in ("consumer_class", "endpoint_class"):
        if target := getattr(application, name, None):
            yield _Routed(target, path, hidden)


def _takes_every_path(route: Any) -> bool:
    regex = getattr(route.pattern, "_regex", None)
    return regex in ("", "^", ".*", "^.*", "^.*$")
