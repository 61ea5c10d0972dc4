"""Everything that :func:`djust_uploads.client.upload` raises, as one tree.

::

    ClientError                  client_error
    ├── Unreachable              unreachable      no connection, or no answer
    ├── ServerFailed             server_failed    for example 502 from a proxy
    ├── Refused                  refused          a status of 400 to 499
    │   ├── NotAuthorized        not_authorized   401 or 403
    │   ├── TooLarge             too_large        413
    │   └── UploadGone           upload_gone      404 or 410: expired, or deleted
    ├── TakenOver                taken_over       another client goes on with this upload
    ├── DigestMismatch           digest_mismatch  the server has other bytes than the file
    ├── FileChanged              file_changed     while it was uploaded
    └── InvalidAnswer            invalid_answer   for example the URL is no upload endpoint

``code`` is stable, and ``message`` is a sentence for the person who uploads. ``str(error)`` is for
the log. A file that can't be read raises :class:`OSError`.
"""

from __future__ import annotations


class ClientError(Exception):
    """The end of an attempt to upload.

    ``detail`` goes to the log, ``message`` to the person; both default to the class's sentence.
    """

    code: str = "client_error"
    message: str = "The upload failed."
    #: Whether :func:`~djust_uploads.client.upload` tries again by itself.
    retryable: bool = False

    def __init__(self, detail: str = "", *, message: str = "") -> None:
        super().__init__(detail or message or self.message)
        if message:
            self.message = message


class Unreachable(ClientError):
    """No connection, or it broke, or the server did not answer in time."""

    code = "unreachable"
    message = "The server can't be reached. Run the upload again to go on with it."
    retryable = True


class ServerFailed(ClientError):
    """The server is not well, or it is busy: a status of 500 to 599, 408, 423, 425 or 429."""

    code = "server_failed"
    message = "The server failed. Run the upload again later to go on with it."
    retryable = True

    #: Seconds that the server wants to be left alone, from ``Retry-After``.
    retry_after: float = 0.0


class Refused(ClientError):
    """The server does not want the request. ``message`` is the server's sentence if it sent one."""

    code = "refused"
    message = "The server refused the upload."

    #: The HTTP status.
    status: int = 0
    #: The server's own code for it, for example ``type_not_accepted``; empty if it sent none.
    server_code: str = ""


class NotAuthorized(Refused):
    code = "not_authorized"
    message = "You are not allowed to upload here. Check your credentials."


class TooLarge(Refused):
    code = "too_large"
    message = "The file is too large for this server."


class UploadGone(Refused):
    """The server does not know the upload any more, or there is no endpoint at the URL."""

    code = "upload_gone"
    message = "The server does not know this upload. Run the upload again to start anew."


class TakenOver(ClientError):
    """Another client, for example a second process with the same file, goes on with the upload."""

    code = "taken_over"
    message = "This upload goes on in another program."


class DigestMismatch(ClientError):
    """The digest of what the server has is not that of the file."""

    code = "digest_mismatch"
    message = "The server has received other bytes than those of the file. Please upload it again."


class FileChanged(ClientError):
    code = "file_changed"
    message = "The file changed while it was uploaded. Please upload it again."


class InvalidAnswer(ClientError):
    """The server does not speak the protocol. For example the URL is a page and no endpoint."""

    code = "invalid_answer"
    message = "There is no upload server at this URL."
