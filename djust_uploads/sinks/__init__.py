"""Sinks: where uploads go.

Name a sink by its import path in ``DJUST_UPLOADS["SINKS"]``, or pass an instance to
``allow_upload()``. A sink that needs an SDK is imported when its name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Sink, SinkWriter, UploadInfo
from .memory import MemorySink
from .storage.sink import StorageSink
from .temporary_file import TemporaryFileSink

if TYPE_CHECKING:
    from .gcs.sink import GCSSink
    from .object_store.sink import ObjectStoreSink
    from .s3.sink import S3Sink

_HOMES = {"GCSSink": "gcs.sink", "ObjectStoreSink": "object_store.sink", "S3Sink": "s3.sink"}

__all__ = [
    "GCSSink",
    "MemorySink",
    "ObjectStoreSink",
    "S3Sink",
    "Sink",
    "SinkWriter",
    "StorageSink",
    "TemporaryFileSink",
    "UploadInfo",
]


def __getattr__(name: str) -> Any:
    """Import a sink that needs an SDK.

    Raises :class:`~djust_uploads.exceptions.InvalidSink` if the SDK is not installed. The error
    says which ``pip install`` is missing.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
