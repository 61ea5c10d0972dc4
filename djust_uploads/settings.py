"""The setting ``DJUST_UPLOADS``, with types and defaults.

This example shows all keys with their defaults, except for ``SINKS``::

    DJUST_UPLOADS = {
        "SINKS": {
            "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
            "fast": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink",
                     "OPTIONS": {"directory": "/mnt/nvme/uploads"}},
        },
        "MAX_BUFFERED_BYTES": 256 * 1024 * 1024,   # bytes in memory, of all uploads of a process
        "SINK_TIMEOUT": 60,                        # seconds that one call to a sink may take
        "IDLE_TIMEOUT": 300,                       # seconds for which a client may send nothing
        "MAX_FRAME_SIZE": None,                    # bytes of a frame; None: what the server takes
        "CHUNK_CHECKSUMS": False,                  # whether pages send checksums with their bytes
        "SHA256": False,                           # whether to compute entry.sha256
        "RESUME_CACHE": "default",                 # an alias of CACHES, for resumable slots
        "RESUME_TTL": 86400,                       # seconds for which an upload may be interrupted
        "SESSION_INTERVAL": 10,                    # seconds between looks at the session
        "QUOTAS": {},                              # see docs/quotas.md for the defaults
        "QUOTA_CACHE": "default",                  # an alias of CACHES, for quotas
        "TRUSTED_PROXIES": 0,                      # proxies that tell a client's address
        "CLIENT_ADDRESS_HEADER": "X-Forwarded-For",  # where they tell it
        "FORM_UPLOADS_URL": "/uploads/",           # the path of FormUploads
        "CORS_ORIGINS": [],                        # origins whose pages may upload over HTTP
        "OBSERVERS": [],                           # classes that hear what happens to uploads
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """The values of ``settings.DJUST_UPLOADS``, or their defaults."""

    #: The sinks by their aliases: a dictionary with ``BACKEND`` and ``OPTIONS`` for each one.
    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: The most bytes that all uploads of this process may hold in memory together. One half is for
    #: bytes that no sink has taken yet, the other half for bytes in the sinks.
    max_buffered_bytes: int = 256 * 1024 * 1024
    #: Seconds that one call to a sink may take. Then the call is cancelled and the upload fails.
    sink_timeout: float = 60.0
    #: Seconds for which a client may send nothing of a file that it has registered. Then the upload
    #: fails.
    idle_timeout: float = 300.0
    #: The most bytes of a file that one frame may carry. With ``None`` it is what the server takes,
    #: as far as that can be found out.
    max_frame_size: int | None = None
    #: Whether pages send the CRC32C of the bytes with each frame. It finds bytes that were damaged
    #: on a way without TLS.
    chunk_checksums: bool = False
    #: Whether to compute the SHA-256 of every upload, as ``entry.sha256``.
    sha256: bool = False
    #: The alias in ``CACHES`` of the cache that remembers interrupted uploads.
    resume_cache: str = "default"
    #: Seconds for which an interrupted upload, or a complete one that nobody has consumed, is
    #: remembered.
    resume_ttl: float = 24 * 3600
    #: Seconds between two looks at the session of a connection on which an upload runs.
    session_interval: float = 10.0
    #: How much may be uploaded by each user, session and address, and into each slot, as far as it
    #: differs from the defaults. ``None``: there are no quotas.
    quotas: Mapping[str, Mapping[str, int | None] | None] | None = field(default_factory=dict)
    #: The alias in ``CACHES`` of the cache in which quotas are counted.
    quota_cache: str = "default"
    #: How many proxies stand before the server, each of which adds to the header below.
    trusted_proxies: int = 0
    #: The header in which those proxies tell the address that they were called from.
    client_address_header: str = "X-Forwarded-For"
    #: The path at which FormUploads is routed, with a slash at its end.
    form_uploads_url: str = "/uploads/"
    #: Origins such as ``"https://app.example.com"`` whose pages may use an UploadEndpoint. ``"*"``
    #: stands for all origins, without cookies.
    cors_origins: Sequence[str] = ()
    #: Import paths of classes that hear what happens to uploads, for example
    #: ``"djust_uploads.observability.PrometheusMetrics"``.
    observers: Sequence[str] = ()

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return the keys of the setting, each with the name of its attribute."""
        return {name.upper(): name for name in cls.__dataclass_fields__}


@cache
def upload_settings() -> UploadSettings:
    """Return the settings. They are read again when ``override_settings()`` changes them."""
    configured: dict[str, Any] = getattr(settings, "DJUST_UPLOADS", {})
    names = UploadSettings.names()
    return UploadSettings(**{names[key]: configured[key] for key in configured if key in names})


def _reset(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJUST_UPLOADS":
        upload_settings.cache_clear()


setting_changed.connect(_reset)
