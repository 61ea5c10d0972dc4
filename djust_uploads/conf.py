"""``settings.DJUST_UPLOADS``, typed, and the sinks that it configures.

::

    DJUST_UPLOADS = {
        "SINKS": {
            "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
            "fast": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink",
                     "OPTIONS": {"directory": "/mnt/nvme/uploads"}},
        },
        "MAX_BUFFERED_BYTES": 256 * 1024 * 1024,   # per process, all uploads together
        "SINK_TIMEOUT": 60,                        # seconds for one call to a sink
        "IDLE_TIMEOUT": 300,                       # seconds that a client may send nothing
        "SHA256": False,                           # compute entry.sha256
        "RESUME_CACHE": "default",                 # alias in CACHES, for resumable slots
        "RESUME_TTL": 86400,                       # seconds that an upload may be interrupted
    }
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .exceptions import InvalidSink

if TYPE_CHECKING:
    from .sinks.base import Sink

DEFAULT_ALIAS = "default"
DEFAULT_BACKEND = "djust_uploads.sinks.TemporaryFileSink"


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """``settings.DJUST_UPLOADS`` with its defaults."""

    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Bytes that all uploads of this process together may hold, half before their sinks and half in
    #: them.
    max_buffered_bytes: int = 256 * 1024 * 1024
    #: Seconds that one call to a sink may take.
    sink_timeout: float = 60.0
    #: Seconds that a client may send nothing of an upload that it announced.
    idle_timeout: float = 300.0
    #: Whether to compute the SHA-256 of every upload while it arrives.
    sha256: bool = False
    #: Alias in ``CACHES`` of the cache in which interrupted uploads are remembered.
    resume_cache: str = "default"
    #: Seconds for which they are.
    resume_ttl: float = 24 * 3600

    @classmethod
    def names(cls) -> dict[str, str]:
        """The keys of the setting, and the attribute each one fills."""
        return {name.upper(): name for name in cls.__dataclass_fields__}


@cache
def upload_settings() -> UploadSettings:
    """The settings as they are now; read again after ``override_settings``."""
    configured: dict[str, Any] = getattr(settings, "DJUST_UPLOADS", {})
    names = UploadSettings.names()
    return UploadSettings(**{names[key]: configured[key] for key in configured if key in names})


class SinkHandler:
    """Alias → sink, one instance per alias and process, as Django's ``storages``."""

    def __init__(self) -> None:
        self._sinks: dict[str, Sink] = {}

    def aliases(self) -> list[str]:
        return sorted({DEFAULT_ALIAS, *upload_settings().sinks})

    def __iter__(self) -> Iterator[str]:
        return iter(self.aliases())

    def __contains__(self, alias: str) -> bool:
        return alias in self.aliases()

    def __getitem__(self, alias: str) -> Sink:
        """The sink configured as ``alias``.

        Raises :class:`~djust_uploads.exceptions.InvalidSink` for an alias that is not configured,
        a backend that can't be imported, and options that it doesn't take.
        """
        if alias not in self._sinks:
            self._sinks[alias] = self._create(alias)
        return self._sinks[alias]

    def _create(self, alias: str) -> Sink:
        from .sinks.base import Sink

        if alias not in self:
            raise InvalidSink(
                f"There is no upload sink {alias!r} in DJUST_UPLOADS['SINKS']. "
                f"Configured: {', '.join(self.aliases())}."
            )
        params = upload_settings().sinks.get(alias, {"BACKEND": DEFAULT_BACKEND})
        if not isinstance(params, Mapping):
            raise InvalidSink(f"The upload sink {alias!r} must be a dictionary. Got: {params!r}")
        try:
            backend = import_string(params["BACKEND"])
        except KeyError:
            raise InvalidSink(f"The upload sink {alias!r} has no 'BACKEND'.") from None
        except ImportError as exc:
            raise InvalidSink(f"The upload sink {alias!r} can't be imported: {exc}") from exc
        try:
            sink = backend(**params.get("OPTIONS", {}))
        except (TypeError, ValueError) as exc:
            raise InvalidSink(f"The upload sink {alias!r} has a wrong option: {exc}") from exc
        if not isinstance(sink, Sink):
            raise InvalidSink(f"The upload sink {alias!r} is not a Sink. Got: {sink!r}")
        return sink

    def resolve(self, sink: str | Sink | None) -> Sink:
        """The sink that an alias or an instance means; ``None`` means ``"default"``."""
        if sink is None:
            return self[DEFAULT_ALIAS]
        return self[sink] if isinstance(sink, str) else sink

    def clear(self) -> None:
        """Forget the instances; the next look-up creates them from the settings of then."""
        self._sinks.clear()


sinks = SinkHandler()


def _reset(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJUST_UPLOADS":
        upload_settings.cache_clear()
        sinks.clear()


setting_changed.connect(_reset)
