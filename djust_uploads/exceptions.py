"""Everything that can go wrong with an upload, as one tree.

::

    UploadError                      upload_failed
    ├── ProtocolError                protocol_error       the client breaks the protocol
    │   ├── InvalidMessage           invalid_message      a frame or message cannot be parsed
    │   ├── UnknownSlot              unknown_slot         there is no allow_upload() of that name
    │   ├── UnknownUpload            unknown_upload       a frame has a ref that nobody registered
    │   ├── DuplicateRef             duplicate_ref        another upload has the ref already
    │   ├── ChunkOutOfOrder          chunk_out_of_order   a chunk is missing, repeated or misplaced
    │   ├── WrongOffset              wrong_offset         an HTTP request is at another byte
    │   ├── ChunkTooLarge            chunk_too_large      a chunk is longer than chunk_size
    │   ├── TooManyChunks            too_many_chunks      the chunks are too small on average
    │   ├── LimitExceeded            limit_exceeded       the client was over its limit for too long
    │   ├── SizeMismatch             size_mismatch        more or fewer bytes came than declared
    │   └── DigestMismatch           digest_mismatch      the bytes are not those of the digest
    ├── Forbidden                    forbidden            this user may not upload here
    ├── Unauthenticated              unauthenticated      the client must log in, or bring a token
    │   └── SessionEnded             session_ended        the user has logged out, for example
    ├── QuotaExceeded                quota_exceeded       there are too many uploads for now
    ├── ValidationFailed             invalid_file         the slot does not accept the file
    │   ├── FileTooLarge             file_too_large       it is larger than max_file_size
    │   ├── TooManyFiles             too_many_files       the slot has max_entries files already
    │   ├── TooFewFiles              too_few_files        fewer than min_entries are complete
    │   ├── TotalTooLarge            total_too_large      all files are larger than max_total_size
    │   ├── TypeNotAccepted          type_not_accepted    its name or claimed type is not accepted
    │   ├── ContentMismatch          content_mismatch     for example an executable named .jpg
    │   ├── ActiveContent            active_content       it is HTML, SVG or a script
    │   ├── ImageTooLarge            image_too_large      it has too many pixels
    │   ├── UnsafeArchive            unsafe_archive       for example it is a ZIP bomb
    │   ├── DuplicateFile            duplicate_file       the application has the file already
    │   ├── Infected                 infected             a virus scanner has found a virus
    │   └── NotScanned               not_scanned          the virus scanner gave no verdict
    ├── SinkError                    storage_error        the store failed
    │   ├── SinkUnavailable          storage_unavailable  the call may succeed if it is repeated
    │   │   └── SinkTimeout          timeout              a call took longer than SINK_TIMEOUT
    │   ├── SinkFull                 storage_full         there is no space, or a quota is used up
    │   ├── SinkMisconfigured        storage_misconfigured  for example a wrong bucket name
    │   └── NotResumable             not_resumable        the bytes of a checkpoint are gone
    ├── UploadExpired                expired              nothing came for IDLE_TIMEOUT seconds
    ├── UploadLocked                 locked               another connection goes on with the upload
    ├── ReceiptError                 receipt_error        the token for a complete upload is no good
    │   ├── ReceiptForged            receipt_forged       nobody here has written it
    │   ├── ReceiptForeign           receipt_foreign      it is another owner's, or another slot's
    │   ├── ReceiptExpired           receipt_expired      it is too old, or its upload is gone
    │   └── ReceiptUsed              receipt_used         the application has the upload already
    ├── NotComplete                  not_complete         entry.file was read too early
    └── UploadCancelled              cancelled            by the user, the application, a disconnect

``code`` never changes. It goes to the browser together with ``message``, a sentence that tells the
person at the browser what to do. ``str(error)`` is for the log, and may quote the provider.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class UploadError(Exception):
    """Ends one upload. Other uploads, the view and the connection go on.

    ``detail`` is a text for the log, and ``message`` a sentence for the person at the browser. Both
    default to the ``message`` of the class. A lazy translation as ``message`` is translated into
    the language of the page.
    """

    code: str = "upload_failed"
    message: str | Promise = _("The upload failed. Please try again.")
    #: Whether the call that raised the error may succeed if it is repeated.
    retryable: bool = False
    #: Seconds after which the client may try again, if that is known.
    retry_after: int | None = None

    def __init__(self, detail: str = "", *, message: str | Promise = "") -> None:
        super().__init__(detail or str(message or self.message))
        if message:
            self.message = message


class ProtocolError(UploadError):
    code = "protocol_error"
    message: str | Promise = _("The upload was interrupted. Please choose the file again.")


class InvalidMessage(ProtocolError):
    code = "invalid_message"


class UnknownSlot(ProtocolError):
    code = "unknown_slot"
    message: str | Promise = _("This page does not take files here. Please reload it.")


class UnknownUpload(ProtocolError):
    code = "unknown_upload"


class DuplicateRef(ProtocolError):
    code = "duplicate_ref"


class ChunkOutOfOrder(ProtocolError):
    code = "chunk_out_of_order"


class WrongOffset(ProtocolError):
    """The client wants to go on at another byte than the next one. The upload goes on."""

    code = "wrong_offset"
    message: str | Promise = _("The upload was interrupted. Please try again.")


class ChunkTooLarge(ProtocolError):
    code = "chunk_too_large"


class TooManyChunks(ProtocolError):
    code = "too_many_chunks"


class LimitExceeded(ProtocolError):
    """The client sends more than its limit allows, and the server cannot slow it down."""

    code = "limit_exceeded"
    message: str | Promise = _(
        "The file came faster than it could be stored. Please try again later."
    )


class SizeMismatch(ProtocolError):
    code = "size_mismatch"
    message: str | Promise = _("The file changed while it was uploaded. Please choose it again.")


class DigestMismatch(ProtocolError):
    """The bytes are not those of which the client sent a checksum or a digest."""

    code = "digest_mismatch"
    message: str | Promise = _("The file was damaged on its way. Please try again.")


class Forbidden(UploadError):
    code = "forbidden"
    message: str | Promise = _("You are not allowed to upload files here.")


class Unauthenticated(UploadError):
    """The slot wants a user, or a request another token than it has. The upload waits."""

    code = "unauthenticated"
    message: str | Promise = _("Please log in again.")


class SessionEnded(Unauthenticated):
    """The user has logged out, or the session is over. Uploads that can go on wait."""

    code = "session_ended"
    message: str | Promise = _("Your session has ended. Please log in again to go on.")


class QuotaExceeded(UploadError):
    """The user, the session, the address or the slot has used up a quota for now.

    ``retry_after`` is in seconds.
    """

    code = "quota_exceeded"
    message: str | Promise = _("Too much is being uploaded at the moment. Please try again later.")

    def __init__(
        self, detail: str = "", *, message: str | Promise = "", retry_after: int | None = None
    ) -> None:
        super().__init__(detail, message=message)
        self.retry_after = retry_after


class ValidationFailed(UploadError):
    """A file is refused. Raise this, or a subclass, in a :class:`~djust_uploads.Validator`."""

    code = "invalid_file"
    message: str | Promise = _("This file is not accepted.")


class FileTooLarge(ValidationFailed):
    code = "file_too_large"
    message: str | Promise = _("The file is too large.")


class TooManyFiles(ValidationFailed):
    code = "too_many_files"
    message: str | Promise = _("Too many files. Remove one before you add another.")


class TooFewFiles(ValidationFailed):
    """``consume_uploaded_entries()`` was called before ``min_entries`` files were complete."""

    code = "too_few_files"
    message: str | Promise = _("There are not enough files yet. Please add more.")


class TotalTooLarge(ValidationFailed):
    code = "total_too_large"
    message: str | Promise = _("There is no room for this file: all files together are too large.")


class TypeNotAccepted(ValidationFailed):
    code = "type_not_accepted"
    message: str | Promise = _("Files of this type are not accepted here.")


class ContentMismatch(ValidationFailed):
    code = "content_mismatch"
    message: str | Promise = _("The file's content does not match its name. Please check the file.")


class ActiveContent(ValidationFailed):
    code = "active_content"
    message: str | Promise = _(
        "Files that can run scripts (HTML, SVG, JavaScript) are not accepted."
    )


class ImageTooLarge(ValidationFailed):
    """An image takes too much memory when it is decoded."""

    code = "image_too_large"
    message: str | Promise = _("The image has too many pixels. Please make it smaller.")


class UnsafeArchive(ValidationFailed):
    """An archive would fill the disk, or write outside of its folder, when it is unpacked."""

    code = "unsafe_archive"
    message: str | Promise = _(
        "This archive can't be accepted: it is damaged, too large, or unsafe to unpack."
    )


class DuplicateFile(ValidationFailed):
    """The application has the file already."""

    code = "duplicate_file"
    message: str | Promise = _("This file is already there.")


class Infected(ValidationFailed):
    """A virus scanner found a virus in the file."""

    code = "infected"
    message: str | Promise = _(
        "The file contains a virus or other malicious software, and was deleted."
    )


class NotScanned(ValidationFailed):
    """A virus scanner gave no verdict on the file."""

    code = "not_scanned"
    message: str | Promise = _("The file could not be checked for viruses. Please try again later.")


class SinkError(UploadError):
    """The store failed, for example with an error that fits none of the subclasses."""

    code = "storage_error"
    message: str | Promise = _("The file could not be stored. Please try again later.")


class SinkUnavailable(SinkError):
    """The call may succeed if it is repeated, for example after a 503 or a broken connection."""

    code = "storage_unavailable"
    message: str | Promise = _("The storage does not answer at the moment. Please try again.")
    retryable = True


class SinkTimeout(SinkUnavailable):
    code = "timeout"
    message: str | Promise = _("The storage took too long to answer. Please try again.")


class SinkFull(SinkError):
    code = "storage_full"
    message: str | Promise = _("There is no space left for this file. Please try again later.")


class SinkMisconfigured(SinkError):
    """Somebody must change a setting first, for example if there is no such bucket."""

    code = "storage_misconfigured"


class NotResumable(SinkError):
    """The upload cannot go on from its checkpoint, for example because its bytes were swept."""

    code = "not_resumable"
    message: str | Promise = _("The upload can't go on. Please choose the file again.")


class UploadExpired(UploadError):
    code = "expired"
    message: str | Promise = _("The upload stood still for too long. Please try again.")


class UploadLocked(UploadError):
    code = "locked"
    message: str | Promise = _("This upload goes on in another window.")


class ReceiptError(UploadError):
    """The token for a complete upload cannot be turned into the upload."""

    code = "receipt_error"
    message: str | Promise = _("The uploaded file was not found. Please choose it again.")


class ReceiptForged(ReceiptError):
    code = "receipt_forged"


class ReceiptForeign(ReceiptError):
    code = "receipt_foreign"


class ReceiptExpired(ReceiptError):
    code = "receipt_expired"
    message: str | Promise = _("The uploaded file has expired. Please choose it again.")


class ReceiptUsed(ReceiptError):
    code = "receipt_used"
    message: str | Promise = _("The uploaded file was used already. Please choose it again.")


class NotComplete(UploadError):
    """``entry.file`` or ``entry.data`` was read before the entry was complete."""

    code = "not_complete"
    message: str | Promise = _("The file has not arrived yet.")


class UploadCancelled(UploadError):
    code = "cancelled"
    message: str | Promise = _("The upload was cancelled.")


class InvalidSlot(ValueError):
    """``allow_upload()`` was called with a wrong option. The error says what is accepted."""


class InvalidSink(ImproperlyConfigured):
    """A sink is named or configured wrongly.

    The error says which aliases are configured, which option is wrong, or which package is missing.
    """
