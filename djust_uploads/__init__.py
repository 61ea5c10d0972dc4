"""File uploads over a WebSocket, streamed into pluggable sinks.

Each name is imported when it is first used. So this package can be imported without settings,
without an SDK and without djust.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .doors.channels import UploadConsumer
    from .doors.handlers import event_handler
    from .doors.http.endpoint import UploadEndpoint
    from .doors.mixin import UploadMixin
    from .exceptions import UploadError, ValidationFailed
    from .files import LocalFile, MemoryFile, SinkFile
    from .sinks import (
        GCSSink,
        MemorySink,
        ObjectStoreSink,
        S3Sink,
        Sink,
        SinkWriter,
        StorageSink,
        TemporaryFileSink,
        UploadInfo,
    )
    from .slots.entry import UploadEntry
    from .slots.slot import UploadSlot
    from .slots.validators import Validator

__version__ = "0.1.0"

_HOMES = {
    "GCSSink": "sinks",
    "LocalFile": "files",
    "MemoryFile": "files",
    "MemorySink": "sinks",
    "ObjectStoreSink": "sinks",
    "S3Sink": "sinks",
    "Sink": "sinks",
    "SinkFile": "files",
    "SinkWriter": "sinks",
    "StorageSink": "sinks",
    "TemporaryFileSink": "sinks",
    "UploadConsumer": "doors.channels",
    "UploadEndpoint": "doors.http.endpoint",
    "UploadEntry": "slots.entry",
    "UploadError": "exceptions",
    "UploadInfo": "sinks",
    "UploadMixin": "doors.mixin",
    "UploadSlot": "slots.slot",
    "ValidationFailed": "exceptions",
    "Validator": "slots.validators",
    "event_handler": "doors.handlers",
}

__all__ = [
    "GCSSink",
    "LocalFile",
    "MemoryFile",
    "MemorySink",
    "ObjectStoreSink",
    "S3Sink",
    "Sink",
    "SinkFile",
    "SinkWriter",
    "StorageSink",
    "TemporaryFileSink",
    "UploadConsumer",
    "UploadEndpoint",
    "UploadEntry",
    "UploadError",
    "UploadInfo",
    "UploadMixin",
    "UploadSlot",
    "ValidationFailed",
    "Validator",
    "__version__",
    "event_handler",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
