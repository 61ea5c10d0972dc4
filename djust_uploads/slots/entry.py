"""One file of a slot, as the application sees it. Nothing here does I/O."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

from ..content.names import clean_client_name, clean_relative_path, safe_client_name
from ..exceptions import DigestMismatch, NotComplete, UploadCancelled, UploadError
from ..resuming.saved import SavedUpload
from ..sinks.base import UploadInfo
from ..wire import Registration
from .arrivals import Arrivals
from .status import Status

if TYPE_CHECKING:
    from ..files import SinkFile

#: The most characters of a claimed MIME type: two names of 127 and a slash (RFC 6838, section 4.2).
_MAX_TYPE = 255


class UploadEntry(Arrivals):
    """One file of a slot, as the application sees it.

    =========================  =================================================================
    ``ref``                    the client's name for the upload, a UUID
    ``upload_name``            the name of the slot
    ``client_name``            the last component of the browser's file name, without control
                               characters
    ``client_relative_path``   the file's path within a dropped folder, or ``""``
    ``safe_client_name``       the name in ASCII letters, digits, ``-``, ``_`` and ``.``, which is
                               safe in a path, a key or a header
    ``client_type``            the MIME type that the browser claims
    ``client_size``            the size in bytes; an upload of any other size fails
    ``client_metadata``        what an HTTP client tells beside that, as a dictionary of strings
    ``content_type``           the MIME type of the content; ``""`` before the first bytes are there
    ``progress``               how much the sink has taken, in percent
    ``offset``                 how many bytes are durably stored, without a gap
    ``sink_name``              the alias or the class of the sink; ``""`` before it takes the file
    ``complete``               whether ``file`` is there
    ``error``, ``error_code``  a sentence for the user and a stable code, or ``None``
    ``file``                   the stored file, a :class:`~djust_uploads.SinkFile`
    ``data``                   the whole content as ``bytes``
    ``sha256``                 the digest in hexadecimal digits with ``DJUST_UPLOADS["SHA256"]``, or
                               ``None``
    ``findings``               what validators found, for example ``{"clamav": "clean"}``
    ``writer_result``          what a djust ``UploadWriter`` returned from ``close()``, or ``None``
    =========================  =================================================================
    """

    def __init__(
        self, registration: Registration, chunk_size: int, max_frame_size: int = 0
    ) -> None:
        super().__init__(registration.client_size, chunk_size, max_frame_size)
        self.ref: str = registration.ref
        self.upload_name: str = registration.upload_name
        self.client_name: str = clean_client_name(registration.client_name)
        self.client_relative_path: str = clean_relative_path(registration.client_relative_path)
        self.safe_client_name: str = safe_client_name(self.client_name)
        claimed = registration.client_type[:_MAX_TYPE]
        self.client_type: str = claimed.partition(";")[0].strip().lower()
        self.client_metadata: dict[str, str] = dict(registration.client_metadata)
        #: The SHA-256 that the file must have, in hexadecimal digits, or ``""``.
        self.expected_sha256: str = registration.expected_sha256
        #: What a door keeps with the upload; see :meth:`Transfer.note`.
        self.notes: dict[str, Any] = dict(registration.notes)
        self.content_type: str = ""
        #: The alias or the class of the sink, from when it is opened.
        self.sink_name: str = ""
        #: The time on the monotonic clock at which this process got the upload, in seconds.
        self.begun_at: float = time.monotonic()
        self.status: Status = Status.UPLOADING
        self.sha256: str | None = None
        self.findings: dict[str, Any] = {}
        #: Whether the sink keeps the file when the entry is consumed.
        self.keeps_file: bool = False
        self._file: SinkFile | None = None
        self._error: UploadError | None = None
        self._postponed = False

    @classmethod
    def saved(cls, saved: SavedUpload) -> UploadEntry:
        """Return an entry as another process saved it. Its ``offset`` is not known yet."""
        entry = cls(
            Registration(
                upload_name=saved.upload_name,
                ref=saved.ref,
                client_name=saved.client_name,
                client_type=saved.client_type,
                client_size=saved.client_size,
                client_relative_path=saved.client_relative_path,
                resumable=True,
                client_metadata=saved.client_metadata,
                expected_sha256=saved.expected_sha256,
                notes=saved.notes,
            ),
            saved.chunk_size,
        )
        entry.content_type = saved.content_type
        entry.sha256 = saved.sha256 or None
        entry.restored = not saved.has_begun
        return entry

    def to_save(self, key: str = "", sink: str = "") -> SavedUpload:
        """Return what another process needs to know of the entry, without a checkpoint.

        ``key`` is the :attr:`UploadInfo.key` of the upload, and ``sink`` the name of its sink. An
        upload whose sink was not opened yet has neither.
        """
        return SavedUpload(
            ref=self.ref,
            upload_name=self.upload_name,
            client_name=self.client_name,
            client_relative_path=self.client_relative_path,
            client_type=self.client_type,
            client_size=self.client_size,
            content_type=self.content_type,
            chunk_size=self.chunk_size,
            key=key,
            sink=sink,
            status="uploading" if sink else "registered",
            client_metadata=self.client_metadata,
            expected_sha256=self.expected_sha256,
            notes=self.notes,
        )

    def __repr__(self) -> str:
        return f"<UploadEntry {self.upload_name}/{self.client_name!r} {self.status} {self.ref}>"

    @property
    def progress(self) -> int:
        """How much the sink has taken, in percent."""
        if not self.client_size:
            return 100 if self.complete else 0
        return 100 * self.taken // self.client_size

    @property
    def complete(self) -> bool:
        """Whether :attr:`file` is there."""
        return self._file is not None

    @property
    def error(self) -> str | None:
        """A sentence for the user if the upload failed, else ``None``."""
        return str(self._error.message) if self._error else None

    @property
    def error_code(self) -> str | None:
        """The stable code of the error if the upload failed, else ``None``."""
        return self._error.code if self._error else None

    @property
    def file(self) -> SinkFile:
        """The stored file.

        Raises :class:`~djust_uploads.exceptions.NotComplete` if the upload is not complete.
        """
        if self._file is None:
            raise NotComplete(f"{self!r} has no file")
        return self._file

    @property
    def writer_result(self) -> Any:
        """What a djust ``UploadWriter`` returned from ``close()``, else ``None``."""
        return self._file.metadata.get("writer_result") if self._file else None

    @property
    def data(self) -> bytes:
        """The whole content, read into memory. Raises what :attr:`file` raises."""
        with self.file.open_stored() as stored:
            return stored.read()

    def save(self, name: str | None = None, storage: Any = None) -> str:
        """Move the file into a Django storage (``default_storage``) and return the name it got.

        ``name`` defaults to :attr:`safe_client_name`, and ``storage`` to ``default_storage``. The
        file is moved in the cheapest way that its sink and the storage allow. A file on the same
        disk is renamed or linked. If sink and storage are in the same cloud service, the service
        copies the object. Any other file is copied as a stream.

        Raises Django's ``SynchronousOnlyOperation`` on an event loop if the file is not on this
        machine. Use :meth:`asave` there.
        """
        from django.core.files.storage import default_storage

        storage, name = storage or default_storage, name or self.safe_client_name
        with self.file as file:
            saved: str = file.copy_to(storage, name) or storage.save(name, file)
        return saved

    async def asave(self, name: str | None = None, storage: Any = None) -> str:
        """Do what :meth:`save` does, in a worker thread. For async handlers."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.save, thread_sensitive=False)(name, storage)

    def postpone(self) -> None:
        """Keep the entry for a later ``consume_uploaded_entries()`` instead of consuming it."""
        self._postponed = True

    def info(self, key: str | None = None, generation: int = 0) -> UploadInfo:
        """Return what the sink may know of the entry.

        A resumed upload has the ``key`` that the first process gave it.
        """
        return UploadInfo(
            upload_name=self.upload_name,
            client_name=self.client_name,
            safe_client_name=self.safe_client_name,
            client_type=self.client_type,
            content_type=self.content_type,
            size=self.client_size,
            generation=generation,
            **({"key": key} if key else {}),
        )

    # Only the core calls what follows. It counts bytes and moves the entry's status.

    def check_sha256(self) -> None:
        """Raises :class:`DigestMismatch` if the file must have another SHA-256 than it has."""
        if self.expected_sha256 and self.sha256 != self.expected_sha256:
            raise DigestMismatch(f"{self!r} has SHA-256 {self.sha256}, not {self.expected_sha256}")

    def raise_failed(self) -> None:
        """Raise the error with which the upload has failed, if it has."""
        if self._error:
            raise self._error

    def finalize(self) -> None:
        """Note that the writer has been given every byte."""
        self._move(Status.FINALIZING)

    def store(self, file: SinkFile, *, keeps_file: bool) -> None:
        """Note that the sink has stored the whole file."""
        self.take(0, self.client_size)
        self.keeps_file = keeps_file
        self._file = file

    def finish(self) -> None:
        """Let the application consume the entry from now on."""
        self._move(Status.COMPLETE)

    def consume(self) -> None:
        """Note that the application is done with the entry."""
        self._move(Status.CONSUMED)

    def fail(self, error: UploadError) -> None:
        """Note that the upload has failed, or was cancelled."""
        cancelled = isinstance(error, UploadCancelled)
        self._move(Status.CANCELLED if cancelled else Status.ERROR)
        self._error, self._file = error, None

    def _move(self, status: Status) -> None:
        assert self.status.may_become(status), f"{self!r} cannot become {status}"
        self.status = status

    def twin(self) -> UploadEntry:
        """Return an equal entry, with a file object of its own, for an application to keep."""
        twin = copy.copy(self)
        if self._file is not None:
            twin._file = copy.copy(self._file)
            twin._file.file = None
        return twin

    def take_postponed(self) -> bool:
        """Return whether :meth:`postpone` was called since the last call of this method."""
        postponed, self._postponed = self._postponed, False
        return postponed

    def template_state(self) -> dict[str, Any]:
        """Return what a template sees in ``{{ uploads.<slot>.entries }}``: plain values only."""
        return {
            "ref": self.ref,
            "client_name": self.client_name,
            "client_type": self.client_type,
            "client_size": self.client_size,
            "content_type": self.content_type,
            "progress": self.progress,
            "status": str(self.status),
            "complete": self.complete,
            "error": self.error,
            "error_code": self.error_code,
            "writer_result": self.writer_result,
        }
