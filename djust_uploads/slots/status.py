"""The states of an upload, and which state may follow which."""

from __future__ import annotations

import enum


class Status(enum.StrEnum):
    """The state of an entry. All states except ``CONSUMED`` go to the client as ``status``.

    An entry begins as ``UPLOADING``. :class:`~djust_uploads.slots.entry.UploadEntry` moves it, and
    asserts that the move is in this table:

    ==============  ==============  ==============================================================
    from            to              who asks for the move, and when
    ==============  ==============  ==============================================================
    ``UPLOADING``   ``FINALIZING``  the transfer, when the sink's writer has been given every byte
    ``UPLOADING``   ``ERROR``       admission, when the slot refuses the file; an ending of the
                                    transfer, when the upload fails
    ``UPLOADING``   ``CANCELLED``   an ending of the transfer: the user or the application cancels,
                                    the connection ends, or another process goes on with the upload
    ``FINALIZING``  ``COMPLETE``    the transfer, when the sink has stored the file and
                                    ``on_complete`` has returned
    ``FINALIZING``  ``ERROR``       an ending of the transfer, when the sink cannot store the file
    ``FINALIZING``  ``CANCELLED``   an ending of the transfer, as for ``UPLOADING``
    ``COMPLETE``    ``CONSUMED``    consumption, when the application is done with the entry
    ``COMPLETE``    ``CANCELLED``   the manager, when the user or the application drops the entry
    ``COMPLETE``    ``ERROR``       the manager, when the user may not upload any more
    ==============  ==============  ==============================================================

    ``CONSUMED``, ``ERROR`` and ``CANCELLED`` are final.
    """

    UPLOADING = "uploading"
    FINALIZING = "finalizing"
    COMPLETE = "complete"
    CONSUMED = "consumed"
    ERROR = "error"
    CANCELLED = "cancelled"

    def may_become(self, status: Status) -> bool:
        """Return whether an entry in this state may move to ``status``."""
        return status in _MOVES[self]


_MOVES: dict[Status, frozenset[Status]] = {
    Status.UPLOADING: frozenset({Status.FINALIZING, Status.ERROR, Status.CANCELLED}),
    Status.FINALIZING: frozenset({Status.COMPLETE, Status.ERROR, Status.CANCELLED}),
    Status.COMPLETE: frozenset({Status.CONSUMED, Status.CANCELLED, Status.ERROR}),
    Status.CONSUMED: frozenset(),
    Status.ERROR: frozenset(),
    Status.CANCELLED: frozenset(),
}
