"""``Observer``: hears what happens to the uploads of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exceptions import UploadError
    from ..slots.entry import UploadEntry


class Observer:
    """Hears what happens to the uploads of this process. Override what you want to hear of.

    ``DJUST_UPLOADS["OBSERVERS"]`` lists the classes, by their import paths. There is one instance
    of each in a process, created without arguments at the first upload.

    The methods are called on the event loop of the upload. They must return at once, because
    nothing else runs meanwhile: no I/O, no locks that others hold for long. An exception is logged,
    and the upload goes on. Only ``completed()``, ``failed()``, ``cancelled()`` and ``suspended()``
    end an upload in this process, and for each upload one of them is called, once.
    """

    def refused(self, entry: UploadEntry, error: UploadError) -> None:
        """The slot does not take the file. The upload has not started."""

    def started(self, entry: UploadEntry) -> None:
        """The slot takes the file, and the client may send it."""

    def parked(self, entry: UploadEntry) -> None:
        """The upload has lost its connection, and waits for the client to come back.

        It is called for complete uploads too, which wait to be consumed.
        """

    def resumed(self, entry: UploadEntry) -> None:
        """A connection goes on with the upload.

        This process had it before, or has it now from another process. It is called for complete
        uploads too, which come back complete.
        """

    def finalizing(self, entry: UploadEntry) -> None:
        """The sink has been given every byte, and stores what is left."""

    def completed(self, entry: UploadEntry) -> None:
        """The file is stored, and waits to be consumed."""

    def consumed(self, entry: UploadEntry) -> None:
        """The application is done with the complete upload. Its file was kept or deleted."""

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        """The upload has failed, and the client is about to be told."""

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        """The upload was cancelled, or nobody consumed the complete upload in time."""

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        """This process does not have the upload any more. Another one goes on with it, or may."""

    def called_sink(
        self, entry: UploadEntry, operation: str, seconds: float, size: int, error: str
    ) -> None:
        """A call to the sink has ended, after so many seconds.

        ``operation`` is the name of the method: ``"open"``, ``"resume"``, ``"write"``,
        ``"finish"``, ``"abort"``, ``"release"`` or ``"delete"``. ``size`` is how many bytes were
        written. ``error`` is the name of the exception's class, or ``""``. This is called for every
        chunk, so it must be fast.
        """
