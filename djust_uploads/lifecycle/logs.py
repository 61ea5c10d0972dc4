"""``Logs``: writes a line into the log for each ending, with fields that tools can search."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from ..exceptions import SinkError
from .observer import Observer

if TYPE_CHECKING:
    from ..exceptions import UploadError
    from ..slots.entry import UploadEntry

logger: logging.Logger = logging.getLogger("djust_uploads")


def log_fields(entry: UploadEntry, event: str, code: str = "") -> dict[str, Any]:
    """Return the fields of a log record about an upload, for ``extra=``.

    ``upload_bytes`` counts what has arrived, and ``upload_seconds`` the time for which this process
    has had the upload.
    """
    return {
        "upload_event": event,
        "upload_id": entry.ref,
        "upload_slot": entry.upload_name,
        "upload_sink": entry.sink_name,
        "upload_bytes": entry.received,
        "upload_size": entry.client_size,
        "upload_seconds": round(time.monotonic() - entry.begun_at, 6),
        "upload_code": code,
    }


def refusal_fields(ref: str, upload_name: str, code: str) -> dict[str, Any]:
    """Return the fields of a log record about a registration that no slot has looked at."""
    return {
        "upload_event": "refused",
        "upload_id": ref,
        "upload_slot": upload_name,
        "upload_code": code,
    }


class Logs(Observer):
    """Writes a line into the log of ``djust_uploads`` for each ending of an upload."""

    def refused(self, entry: UploadEntry, error: UploadError) -> None:
        extra = log_fields(entry, "refused", error.code)
        cause = error.__cause__
        logger.warning("%r refused (%s): %s", entry, error.code, error, exc_info=cause, extra=extra)

    def completed(self, entry: UploadEntry) -> None:
        _inform("%r is stored", entry, "completed")

    def consumed(self, entry: UploadEntry) -> None:
        _inform("%r is consumed", entry, "consumed")

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        level = logging.ERROR if isinstance(error, SinkError) else logging.WARNING
        logger.log(
            level,
            "%r failed (%s): %s",
            entry,
            error.code,
            error,
            exc_info=error.__cause__,
            extra=log_fields(entry, "failed", error.code),
        )

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        _inform("%r: %s", entry, "cancelled", reason, code="cancelled")

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        _inform("%r is suspended: %s", entry, "suspended", reason)


def _inform(text: str, entry: UploadEntry, event: str, *details: str, code: str = "") -> None:
    # Most sites do not look at these lines, and have thousands of small uploads.
    if logger.isEnabledFor(logging.INFO):
        logger.info(text, entry, *details, extra=log_fields(entry, event, code))
