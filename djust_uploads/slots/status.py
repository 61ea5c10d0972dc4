"""The states of an upload."""

from __future__ import annotations

import enum


class Status(enum.StrEnum):
    """Where an entry is; all but ``CONSUMED`` travel as the ``status`` of ``upload_progress``."""

    UPLOADING = "uploading"
    FINALIZING = "finalizing"
    COMPLETE = "complete"
    CONSUMED = "consumed"
    ERROR = "error"
    CANCELLED = "cancelled"
