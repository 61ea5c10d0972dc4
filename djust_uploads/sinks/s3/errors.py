"""Translates the errors of S3 and of its SDK into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from botocore import exceptions as sdk

from ...exceptions import SinkError, SinkFull, SinkMisconfigured, SinkTimeout, SinkUnavailable
from .rules import DENIED, FULL, SETTINGS, TRANSIENT


def _answer(error: BaseException | None) -> Mapping[str, Any]:
    """Return the store's answer that caused an error of ours or of the SDK.

    The answer is empty if the store gave none.
    """
    for cause in (error, getattr(error, "__cause__", None)):
        if isinstance(cause, sdk.ClientError):
            answer: Mapping[str, Any] = cause.response
            return answer
    return {}


def code_of(error: BaseException | None) -> str:
    """Return the provider's error code, or ``""`` if there was no answer."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def status_of(error: BaseException | None) -> int:
    """Return the HTTP status of the answer, or 0 if there was no answer."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: BaseException) -> bool:
    """Return whether the object or the multipart upload does not exist, though the bucket does."""
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


@contextlib.contextmanager
def translated(where: str, operation: str) -> Iterator[None]:
    """Raise errors of the SDK as a :class:`SinkError` or one of its subclasses.

    ``where`` names the bucket and the endpoint for the log, and ``operation`` the request.
    """
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
    if code in SETTINGS:
        return SinkMisconfigured(f"{detail}. Check {SETTINGS[code]}.")
    if code in DENIED:
        return SinkMisconfigured(
            f"{detail}. Check the permissions of aws_access_key_id, or of the SDK's credentials, "
            f"and the bucket's policy."
        )
    if code in FULL or status == 507:
        return SinkFull(detail)
    if code == "NotImplemented":
        return SinkMisconfigured(
            f"{detail}. The store lacks something: check extra_args, checksum and unconsumed_tag."
        )
    if code in TRANSIENT or status >= 500 or status == 429:
        return SinkUnavailable(detail)
    return SinkError(detail)
