"""The last moves of an entry, of which the observers hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import UploadCancelled, UploadError, UploadLocked
from .notifying import notify
from .observer import Observer

if TYPE_CHECKING:
    from ..slots.entry import UploadEntry


def refuse(entry: UploadEntry, error: UploadError) -> None:
    """Note that the slot does not take the file."""
    entry.fail(error)
    notify(Observer.refused, entry, error)


def fail(entry: UploadEntry, error: UploadError) -> None:
    """Note that the upload has failed, was cancelled, or goes on in another process."""
    entry.fail(error)
    if isinstance(error, UploadCancelled):
        notify(Observer.cancelled, entry, str(error))
    elif isinstance(error, UploadLocked):
        notify(Observer.suspended, entry, str(error))
    else:
        notify(Observer.failed, entry, error)


def suspend(entry: UploadEntry, reason: str) -> None:
    """Note that the upload is left to another process."""
    entry.fail(UploadCancelled(reason))
    notify(Observer.suspended, entry, reason)
