"""Translates the errors of obstore into ours.

An exception of obstore has the status and the store's error code only in its text. A description of
obstore's layers follows them: https://developmentseed.org/obstore/latest/api/exceptions/
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from obstore import exceptions as sdk

from ...exceptions import SinkError, SinkFull, SinkMisconfigured, SinkTimeout, SinkUnavailable
from ..s3.rules import DENIED, FULL, SETTINGS, TRANSIENT

#: Error code to the option that is probably wrong. Google's XML API has the codes of S3. Azure's
#: are listed here: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_SETTINGS = {
    **{code: option for code, option in SETTINGS.items() if "extra_args" not in option},
    "AuthenticationFailed": "account_name and account_key",
    "ContainerNotFound": "url (there is no such container)",
    "EmptyMetadataKey": "metadata",
    "InvalidBlobTier": "storage_class",
    "InvalidBucketName": "url",
    "InvalidMetadata": "metadata (a name in it is no identifier)",
    "InvalidResourceName": "url",
    "InvalidStorageClass": "storage_class",
    "KMS.NotFoundException": "config['sse_kms_key_id']",
    "NoSuchBucket": "url (there is no such bucket)",
}

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([\w.]+)</Code>")

#: The kind of an error without an answer, such as "Connect" or "Timeout".
_KIND = re.compile(r"HttpError \{\s*kind: (\w+)")

#: What the text contains if the request for credentials has failed: a request to the machine's
#: metadata service, or for a token.
_CREDENTIALS = re.compile(r"169\.254\.169\.254|token request|/latest/(api|meta-data)/")


def _found(pattern: re.Pattern[str], error: BaseException | None) -> str:
    for cause in (error, getattr(error, "__cause__", None)):
        if found := pattern.search(str(cause)):
            return found[1]
    return ""


def status_of(error: BaseException) -> int:
    """Return the HTTP status that caused an error of ours or of obstore, or 0 if there is none."""
    return int(_found(_STATUS, error) or 0)


def is_missing(error: SinkError) -> bool:
    """Return whether the object does not exist, though the bucket does."""
    return isinstance(error.__cause__, FileNotFoundError) and _found(_CODE, error) not in _SETTINGS


def is_taken(error: SinkError) -> bool:
    """Return whether there is already an object under the key."""
    return isinstance(error.__cause__, sdk.AlreadyExistsError)


@contextlib.contextmanager
def translated(where: str, operation: str, credentials: str = "credentials") -> Iterator[None]:
    """Raise errors of obstore as a :class:`SinkError` or one of its subclasses.

    ``where`` names the bucket and the endpoint for the log, ``operation`` the request, and
    ``credentials`` the options with the credentials.
    """
    try:
        yield
    except (sdk.BaseError, OSError, ValueError) as exc:
        said = str(exc).partition("\n\nDebug source")[0].strip().rstrip(".")
        detail = f"{operation} at {where}: {said[:500]}"
        raise (_from_answer(exc, detail, credentials) or _without_answer(exc, detail)) from exc


def _from_answer(exc: Exception, detail: str, credentials: str) -> SinkError | None:
    code, status = _found(_CODE, exc), status_of(exc)
    if _CREDENTIALS.search(detail):
        return SinkMisconfigured(
            f"{detail}. Check {credentials}: the environment has no credentials either."
        )
    if code in _SETTINGS:
        return SinkMisconfigured(f"{detail}. Check {_SETTINGS[code]}.")
    if code in FULL or status == 507:
        return SinkFull(detail)
    if code in DENIED or status in (401, 403):
        return SinkMisconfigured(
            f"{detail}. Check the permissions of {credentials}, or of the credentials in the "
            f"environment, and the bucket's policy."
        )
    if "redirect without LOCATION" in detail:
        return SinkMisconfigured(f"{detail}. Check region_name.")
    if status == 501:
        return SinkMisconfigured(
            f"{detail}. The store lacks something: check checksum, and that upload_to has "
            f"upload.key in it."
        )
    if code in TRANSIENT or status >= 500 or status in (408, 429) or "error response" in detail:
        return SinkUnavailable(detail)
    return SinkError(detail) if status else None


def _without_answer(exc: Exception, detail: str) -> SinkError:
    kind = _found(_KIND, exc)
    if "InvalidCertificate" in str(exc):
        return SinkMisconfigured(
            f"{detail}. Nobody known has signed the store's certificate. Check endpoint_url, and "
            f"client_options['root_certificate']."
        )
    if kind == "Timeout":
        return SinkTimeout(detail)
    if kind == "Connect":
        return SinkUnavailable(f"{detail}. Is endpoint_url right?")
    if kind:
        return SinkUnavailable(detail)
    if "Could not parse path" in detail:
        return SinkMisconfigured(f"{detail}. Check upload_to.")
    return SinkError(detail)
