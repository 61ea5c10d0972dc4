"""Which status an error has, and the errors that only HTTP knows."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ...exceptions import (
    ChunkTooLarge,
    DigestMismatch,
    DuplicateRef,
    FileTooLarge,
    Forbidden,
    LimitExceeded,
    NotComplete,
    NotResumable,
    ProtocolError,
    QuotaExceeded,
    SinkError,
    SinkFull,
    SinkUnavailable,
    TooManyFiles,
    Unauthenticated,
    UnknownSlot,
    UnknownUpload,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadLocked,
    ValidationFailed,
    WrongOffset,
)


class BadRequest(ProtocolError):
    """A request that cannot be understood: a header that is missing, or has no such value."""

    code = "bad_request"
    message: str | Promise = _("The request was not understood.")


class Gone(UploadError):
    """The upload was here, and is complete or over."""

    code = "gone"
    message: str | Promise = _("The upload is over.")


class MethodNotAllowed(ProtocolError):
    code = "method_not_allowed"
    message: str | Promise = _("This address does not take such requests.")


class LengthRequired(ProtocolError):
    """The length of the file must be known before its first byte: sinks need it."""

    code = "length_required"
    message: str | Promise = _("The length of the file must be told before it is sent.")


class WrongMediaType(ProtocolError):
    code = "wrong_media_type"
    message: str | Promise = _("The request has another content type than the protocol asks for.")


class UnsupportedVersion(ProtocolError):
    code = "unsupported_version"
    message: str | Promise = _("This version of the protocol is not spoken here.")


class HeadersTooLarge(ProtocolError):
    code = "headers_too_large"
    message: str | Promise = _("The request's headers are too large.")


class RequestTimeout(ProtocolError):
    """The client stopped sending in the middle of a request. Its upload can go on."""

    code = "request_timeout"
    message: str | Promise = _("The connection stood still for too long. Please try again.")


class UnsupportedChecksum(ProtocolError):
    code = "unsupported_checksum"
    message: str | Promise = _("This checksum algorithm is not supported.")


class BodyTooLarge(ProtocolError):
    """One request carries more bytes than it may. The upload can go on with smaller requests."""

    code = "body_too_large"
    message: str | Promise = _("The request is too large. Please send the file in smaller pieces.")


class InconsistentLength(ProtocolError):
    """The lengths that the client tells do not agree. The upload can go on."""

    code = "inconsistent_length"
    message: str | Promise = _("The lengths that were told for the file do not agree.")


class Superseded(UploadLocked):
    """A newer request goes on with the upload, so this one is over."""

    message: str | Promise = _("A newer request goes on with this upload.")


#: The status of each error. Of two that apply, the first counts.
_STATUSES: list[tuple[type[UploadError], int]] = [
    (Unauthenticated, 401),
    (MethodNotAllowed, 405),
    (LengthRequired, 411),
    (WrongMediaType, 415),
    (UnsupportedVersion, 412),
    (HeadersTooLarge, 431),
    (RequestTimeout, 408),
    (BodyTooLarge, 413),
    (InconsistentLength, 413),
    (Gone, 410),
    # tus-js-client tries again after a 409 or a 423, and would take the upload back.
    (Superseded, 400),
    (UnknownSlot, 404),
    (UnknownUpload, 404),
    (NotResumable, 404),
    (DuplicateRef, 409),
    (WrongOffset, 409),
    (NotComplete, 409),
    (ChunkTooLarge, 413),
    (FileTooLarge, 413),
    (LimitExceeded, 429),
    (QuotaExceeded, 429),
    (TooManyFiles, 429),
    (Forbidden, 403),
    (ValidationFailed, 422),
    # https://tus.io/protocols/resumable-upload#checksum: 460 Checksum Mismatch
    (DigestMismatch, 460),
    (UploadExpired, 410),
    (UploadCancelled, 410),
    (UploadLocked, 423),
    (SinkFull, 507),
    (SinkUnavailable, 503),
    (SinkError, 500),
    (ProtocolError, 400),
]


def status_of(error: UploadError) -> int:
    """Return the HTTP status of an error, 500 if it fits none."""
    # An error that another process has saved has the code of its class, and not the class.
    saved = type(error).code != error.code
    kind = _with_code(UploadError, error.code) if saved else type(error)
    return next((status for base, status in _STATUSES if kind and issubclass(kind, base)), 500)


def _with_code(kind: type[UploadError], code: str) -> type[UploadError] | None:
    """Return the subclass of ``kind`` that has a code."""
    if kind.code == code:
        return kind
    found = (_with_code(subclass, code) for subclass in kind.__subclasses__())
    return next(filter(None, found), None)
