"""``settings.DJUST_UPLOADS``, typed.

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
        "MAX_FRAME_SIZE": None,                    # bytes of a frame; None: what the server takes
        "SHA256": False,                           # compute entry.sha256
        "RESUME_CACHE": "default",                 # alias in CACHES, for resumable slots
        "RESUME_TTL": 86400,                       # seconds that an upload may be interrupted
    }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


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
    #: Bytes of a file that one frame may carry; ``None``: as many as the host's server takes, as far
    #: as it can be found out.
    max_frame_size: int | None = None
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


def _reset(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJUST_UPLOADS":
        upload_settings.cache_clear()


setting_changed.connect(_reset)
