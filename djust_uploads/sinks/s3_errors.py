"""What S3 and its SDK say went wrong, as our errors.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList. A HEAD
request has no body, so its errors have the HTTP status for a code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from botocore import exceptions as sdk

from ..exceptions import SinkError, SinkFull, SinkMisconfigured, SinkTimeout, SinkUnavailable

#: Code → the setting to look at.
_SETTINGS = {
    "AccessControlListNotSupported": "extra_args['ACL'] (the bucket takes no ACLs)",
    "AccountProblem": "the account of the credentials",
    "AuthorizationHeaderMalformed": "region_name",
    "ExpiredToken": "aws_session_token, or the SDK's credentials: they have expired",
    "IllegalLocationConstraintException": "region_name",
    "InvalidAccessKeyId": "aws_access_key_id, or the SDK's credentials",
    "InvalidBucketName": "bucket",
    "InvalidStorageClass": "extra_args['StorageClass']",
    "InvalidTag": "extra_args['Tagging']",
    "InvalidToken": "aws_session_token, or the SDK's credentials",
    "KMS.DisabledException": "extra_args['SSEKMSKeyId']",
    "KMS.KMSInvalidStateException": "extra_args['SSEKMSKeyId']",
    "KMS.NotFoundException": "extra_args['SSEKMSKeyId']",
    "MethodNotAllowed": "endpoint_url",
    "NoSuchBucket": "bucket (there is none of that name)",
    "PermanentRedirect": "region_name or endpoint_url",
    "RequestTimeTooSkewed": "the clock of this machine",
    "SignatureDoesNotMatch": "aws_secret_access_key, or the SDK's credentials",
    "301": "region_name or endpoint_url",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}
_FULL = {"QuotaExceeded", "ServiceQuotaExceededException", "XMinioStorageFull"}

#: Damaged on its way, throttled or busy: worth another try.
_TRANSIENT = {
    "BadDigest",
    "ConditionalRequestConflict",
    "InvalidDigest",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}


def _answer(error: BaseException | None) -> Mapping[str, Any]:
    """The store's answer behind an error of ours or the SDK's; empty if it gave none."""
    for cause in (error, getattr(error, "__cause__", None)):
        if isinstance(cause, sdk.ClientError):
            answer: Mapping[str, Any] = cause.response
            return answer
    return {}


def code_of(error: BaseException | None) -> str:
    """The provider's code, or ``""``."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def status_of(error: BaseException | None) -> int:
    """The HTTP status, or 0."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: BaseException) -> bool:
    """Whether the object or the multipart upload is not there. The bucket is."""
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


@contextlib.contextmanager
def translated(where: str, operation: str) -> Iterator[None]:
    """The SDK's errors as ours. ``where`` names the bucket and the endpoint for the log."""
    try:
        yield
    except sdk.ClientError as exc:
        raise _from_answer(exc, f"{operation} at {where}: {exc}") from exc
    except (sdk.ConnectTimeoutError, sdk.ReadTimeoutError) as exc:
        raise SinkTimeout(f"{operation} at {where}: {exc}") from exc
    except (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError) as e:
        raise SinkMisconfigured(
            f"{operation} at {where}: {e}. Check aws_access_key_id and aws_secret_access_key, or "
            f"the SDK's credentials."
        ) from e
    except sdk.EndpointConnectionError as exc:
        raise SinkUnavailable(f"{operation} at {where}: {exc}. Is endpoint_url right?") from exc
    except (sdk.HTTPClientError, sdk.IncompleteReadError) as exc:
        raise SinkUnavailable(f"{operation} at {where}: {exc}") from exc
    except sdk.ParamValidationError as exc:
        raise SinkMisconfigured(f"{operation} at {where}: {exc}. Check extra_args.") from exc
    except sdk.NoRegionError as exc:
        raise SinkMisconfigured(f"{operation} at {where}: {exc} Check region_name.") from exc
    except sdk.BotoCoreError as exc:
        raise SinkError(f"{operation} at {where}: {exc}") from exc


def _from_answer(exc: sdk.ClientError, detail: str) -> SinkError:
    code, status = code_of(exc), status_of(exc)
    detail = detail.rstrip(".")
    if code in _SETTINGS:
        return SinkMisconfigured(f"{detail}. Check {_SETTINGS[code]}.")
    if code in _DENIED:
        return SinkMisconfigured(
            f"{detail}. Check the permissions of aws_access_key_id, or of the SDK's credentials, "
            f"and the bucket's policy."
        )
    if code in _FULL or status == 507:
        return SinkFull(detail)
    if code == "NotImplemented":
        return SinkMisconfigured(
            f"{detail}. The store lacks something: check extra_args, checksum and unconsumed_tag."
        )
    if code in _TRANSIENT or status >= 500 or status == 429:
        return SinkUnavailable(detail)
    return SinkError(detail)
