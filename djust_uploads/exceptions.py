"""Everything that can go wrong with an upload, as one tree.

::

    UploadError                      upload_failed
    ├── ProtocolError                protocol_error       the client spoke out of turn
    │   ├── InvalidMessage           invalid_message      a frame or message that is not ours
    │   ├── UnknownSlot              unknown_slot         no allow_upload() of that name
    │   ├── UnknownUpload            unknown_upload       a frame for a ref nobody registered
    │   ├── DuplicateRef             duplicate_ref        the ref is taken
    │   ├── ChunkOutOfOrder          chunk_out_of_order   a gap, a repetition, a reordering
    │   ├── ChunkTooLarge            chunk_too_large      longer than the slot's chunk_size
    │   ├── TooManyChunks            too_many_chunks      the file in crumbs
    │   ├── LimitExceeded            limit_exceeded       ahead of its limit for too long
    │   └── SizeMismatch             size_mismatch        more or fewer bytes than declared
    ├── Forbidden                    forbidden            this user may not upload here
    ├── ValidationFailed             invalid_file         the file is not wanted
    │   ├── FileTooLarge             file_too_large
    │   ├── TooManyFiles             too_many_files
    │   ├── TooFewFiles              too_few_files        fewer than min_entries were there
    │   ├── TotalTooLarge            total_too_large      all files together
    │   ├── TypeNotAccepted          type_not_accepted    by name or claimed type
    │   ├── ContentMismatch          content_mismatch     for example an executable named .jpg
    │   └── ActiveContent            active_content       HTML, SVG, scripts
    ├── SinkError                    storage_error        the store failed
    │   ├── SinkUnavailable          storage_unavailable  may work if tried again
    │   │   └── SinkTimeout          timeout              a call took longer than SINK_TIMEOUT
    │   ├── SinkFull                 storage_full         no space, or over a quota
    │   ├── SinkMisconfigured        storage_misconfigured  for example a wrong bucket name
    │   └── NotResumable             not_resumable        a checkpoint whose bytes are gone
    ├── UploadExpired                expired              nothing came for IDLE_TIMEOUT
    ├── UploadLocked                 locked               another connection goes on with it
    ├── NotComplete                  not_complete         entry.file asked for too early
    └── UploadCancelled              cancelled            by the user, the application, a disconnect

``code`` is stable and goes to the browser together with ``message``, a sentence that the person
there can act on. ``str(error)`` is for the log: it may say what the provider said.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class UploadError(Exception):
    """The end of one upload. Never the end of its siblings, its view or its connection.

    ``detail`` goes to the log, ``message`` to the browser; both default to the class's sentence. A
    lazy translation as ``message`` is translated into the language of the page.
    """

    code: str = "upload_failed"
    message: str | Promise = _("The upload failed. Please try again.")
    #: Whether the call that raised it may succeed if it is made again.
    retryable: bool = False

    def __init__(self, detail: str = "", *, message: str | Promise = "") -> None:
        super().__init__(detail or str(message or self.message))
        if message:
            self.message = message


class ProtocolError(UploadError):
    code = "protocol_error"
    message = _("The upload was interrupted. Please choose the file again.")


class InvalidMessage(ProtocolError):
    code = "invalid_message"


class UnknownSlot(ProtocolError):
    code = "unknown_slot"
    message = _("This page does not take files here. Please reload it.")


class UnknownUpload(ProtocolError):
    code = "unknown_upload"


class DuplicateRef(ProtocolError):
    code = "duplicate_ref"


class ChunkOutOfOrder(ProtocolError):
    code = "chunk_out_of_order"


class ChunkTooLarge(ProtocolError):
    code = "chunk_too_large"


class TooManyChunks(ProtocolError):
    code = "too_many_chunks"


class LimitExceeded(ProtocolError):
    """The client sends more than it was allowed, and the server can't slow it down any longer."""

    code = "limit_exceeded"
    message = _("The file came faster than it could be stored. Please try again later.")


class SizeMismatch(ProtocolError):
    code = "size_mismatch"
    message = _("The file changed while it was uploaded. Please choose it again.")


class Forbidden(UploadError):
    code = "forbidden"
    message = _("You are not allowed to upload files here.")


class ValidationFailed(UploadError):
    """Base of refusals; raise it, or a subclass, in a :class:`~djust_uploads.Validator`."""

    code = "invalid_file"
    message = _("This file is not accepted.")


class FileTooLarge(ValidationFailed):
    code = "file_too_large"
    message = _("The file is too large.")


class TooManyFiles(ValidationFailed):
    code = "too_many_files"
    message = _("Too many files. Remove one before you add another.")


class TooFewFiles(ValidationFailed):
    """``consume_uploaded_entries()`` was called before ``min_entries`` files were complete."""

    code = "too_few_files"
    message = _("There are not enough files yet. Please add more.")


class TotalTooLarge(ValidationFailed):
    code = "total_too_large"
    message = _("There is no room for this file: all files together are too large.")


class TypeNotAccepted(ValidationFailed):
    code = "type_not_accepted"
    message = _("Files of this type are not accepted here.")


class ContentMismatch(ValidationFailed):
    code = "content_mismatch"
    message = _("The file's content does not match its name. Please check the file.")


class ActiveContent(ValidationFailed):
    code = "active_content"
    message = _("Files that can run scripts (HTML, SVG, JavaScript) are not accepted.")


class SinkError(UploadError):
    """The store failed. For example a provider answered with an error that fits no subclass."""

    code = "storage_error"
    message = _("The file could not be stored. Please try again later.")


class SinkUnavailable(SinkError):
    """The store may answer if asked again: throttling, a 5xx, a dropped connection."""

    code = "storage_unavailable"
    message = _("The storage does not answer at the moment. Please try again.")
    retryable = True


class SinkTimeout(SinkUnavailable):
    code = "timeout"
    message = _("The storage took too long to answer. Please try again.")


class SinkFull(SinkError):
    code = "storage_full"
    message = _("There is no space left for this file. Please try again later.")


class SinkMisconfigured(SinkError):
    """Trying again won't help before somebody changes a setting: no such bucket, access denied."""

    code = "storage_misconfigured"


class NotResumable(SinkError):
    """Nothing can go on from this checkpoint: its bytes were swept, or the sink has none."""

    code = "not_resumable"
    message = _("The upload can't go on. Please choose the file again.")


class UploadExpired(UploadError):
    code = "expired"
    message = _("The upload stood still for too long. Please try again.")


class UploadLocked(UploadError):
    code = "locked"
    message = _("This upload goes on in another window.")


class NotComplete(UploadError):
    """``entry.file`` or ``entry.data`` was read before the entry was complete."""

    code = "not_complete"
    message = _("The file has not arrived yet.")


class UploadCancelled(UploadError):
    code = "cancelled"
    message = _("The upload was cancelled.")


class InvalidSlot(ValueError):
    """``allow_upload()`` was called with an option that can't be: says what is accepted."""


class InvalidSink(ImproperlyConfigured):
    """A sink that is named or configured wrongly: says which aliases there are, or which option."""
