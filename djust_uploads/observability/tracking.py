"""``TrackingObserver``: knows which uploads this process has."""

from __future__ import annotations

from ..exceptions import UploadError
from ..lifecycle.observer import Observer
from ..slots.entry import UploadEntry
from ..slots.status import Status

#: The statuses of entries that a process still has.
_PRESENT = (Status.UPLOADING, Status.FINALIZING, Status.COMPLETE)


class TrackingObserver(Observer):
    """Keeps the uploads that this process has, and whether they have a connection.

    A subclass overrides :meth:`changed` to hear of each change.
    """

    def __init__(self) -> None:
        #: The uploads, each with whether it is parked. Another thread may read a copy.
        self.uploads: dict[UploadEntry, bool] = {}

    def changed(self) -> None:
        """Called when an upload was added, has changed, or was removed."""

    def state(self, entry: UploadEntry, parked: bool) -> str:
        """Return ``"active"``, ``"parked"``, or ``"complete"`` for a file that waits."""
        if entry.status is Status.COMPLETE:
            return "complete"
        return "parked" if parked else "active"

    def started(self, entry: UploadEntry) -> None:
        self._keep(entry, parked=False)

    def resumed(self, entry: UploadEntry) -> None:
        self._keep(entry, parked=False)

    def parked(self, entry: UploadEntry) -> None:
        self._keep(entry, parked=True)

    def finalizing(self, entry: UploadEntry) -> None:
        self.changed()

    def completed(self, entry: UploadEntry) -> None:
        self.changed()

    def consumed(self, entry: UploadEntry) -> None:
        self._drop(entry)

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        self._drop(entry)

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        self._drop(entry)

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        self._drop(entry)

    def _keep(self, entry: UploadEntry, *, parked: bool) -> None:
        if entry.status in _PRESENT:
            self.uploads[entry] = parked
            self.changed()

    def _drop(self, entry: UploadEntry) -> None:
        if self.uploads.pop(entry, None) is not None:
            self.changed()
