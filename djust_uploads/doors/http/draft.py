"""Resumable Uploads for HTTP: draft-ietf-httpbis-resumable-upload

https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/

Clients of a draft name its interop version in ``Upload-Draft-Interop-Version``: 5 (draft -03), 6
(-04 and -05), 7 (-06 to -08) and 8 (-09 to -11). Clients of a later draft, or of the RFC, send no
version. The versions differ little. Version 5 has no media type for the body of a ``PATCH``, no
``Upload-Limit`` and no problem types; tus-js-client speaks 5 and 6, and adds tus' ``Upload-Length``
and ``Upload-Metadata``. The sections named below are those of the draft's latest version.
"""

from __future__ import annotations

import re
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from ...exceptions import DigestMismatch, UploadError, WrongOffset
from .digests import Digest, parse_digests
from .intents import (
    Append,
    Creation,
    Limits,
    Protocol,
    Standing,
    completion_body,
    completion_headers,
)
from .problems import (
    BadRequest,
    HeadersTooLarge,
    InconsistentLength,
    LengthRequired,
    UnsupportedVersion,
    WrongMediaType,
)
from .request import Request
from .response import Response
from .tus import parse_metadata

#: "Media Type application/partial-upload"
MEDIA_TYPE = "application/partial-upload"

#: Characters of ``Content-Disposition``, at most. The standard library parses it in a time that
#: grows with the square of its length: 0.04 seconds for this one.
MAX_DISPOSITION = 4 * 1024

#: The version of the draft that a client without the header speaks.
LATEST = 9

_VERSIONS = {"5": 5, "6": 6, "7": 7, "8": 8}

_VERSION = "upload-draft-interop-version"

#: "Problem Types"
_PROBLEMS = "https://iana.org/assignments/http-problem-types#"


def is_spoken_in(request: Request) -> bool:
    """Return whether a request that creates an upload is one of the draft."""
    return "upload-complete" in request or _VERSION in request


def options(limits: Limits | None) -> dict[str, str]:
    """Return the headers that tell what the server can ("Limits", OPTIONS)."""
    headers = {"Accept-Patch": MEDIA_TYPE}
    return {**headers, "Upload-Limit": _limit(limits)} if limits else headers


class Draft(Protocol):
    """Speaks with iOS' URLSession, tus-js-client's ``ietf-draft-*`` and other clients of the draft.

    Raises :class:`UnsupportedVersion` for an interop version that is not spoken here.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        version = request.header(_VERSION)
        if version and version not in _VERSIONS:
            raise UnsupportedVersion(f"{_VERSION}: {version!r:.20}")
        self._version = _VERSIONS.get(version, LATEST)
        self._creates = request.method not in ("HEAD", "DELETE", "GET")

    def headers(self) -> dict[str, str]:
        if self._version == LATEST:
            return {}
        return {"Upload-Draft-Interop-Version": str(self._version)}

    # "Upload Creation"

    def creation(self) -> tuple[Creation, Append | None]:
        request = self.request
        completes = self._completes()
        length = self._length(0, completes)
        if length is None:
            raise LengthRequired("neither Upload-Length nor a whole body with Content-Length")
        name, content_type = name_and_type(request)
        metadata = parse_metadata(request.header("upload-metadata"))
        digests = parse_digests(request.header("repr-digest"))
        content = parse_digests(request.header("content-digest"))
        if completes and "sha-256" in content:
            # The body is the whole file. Its digest can be compared when all of it is stored.
            digests, content = {**content, **digests}, {}
        creation = Creation(
            length=length,
            name=name or metadata.get("filename", ""),
            content_type=content_type or metadata.get("filetype", ""),
            metadata=metadata,
            expected_sha256=digests["sha-256"].value.hex() if "sha-256" in digests else "",
        )
        return creation, Append(0, self._ends(completes, length), _one(content))

    def _completes(self) -> bool:
        """Return ``Upload-Complete``, a Boolean item of RFC 9651 ("Completeness")."""
        value = self.request.header("upload-complete")
        if value not in ("?0", "?1"):
            raise BadRequest(f"Upload-Complete is neither ?0 nor ?1: {value!r:.20}")
        return value == "?1"

    def _length(self, offset: int, completes: bool) -> int | None:
        """Return the length of the file, if the request tells it ("Length").

        Raises :class:`InconsistentLength` if it tells two.
        """
        length, content_length = self.request.number("upload-length"), self.request.content_length
        if not completes or content_length is None:
            return length
        if length is not None and length != offset + content_length:
            raise InconsistentLength(f"Upload-Length {length}, {offset} + {content_length} bytes")
        return offset + content_length

    def _ends(self, completes: bool, length: int | None) -> bool | None:
        """Return whether the file ends where the body ends.

        With tus' ``Upload-Length``, which only tus-js-client sends in these versions, an upload is
        complete when all of its bytes are there: the client sends nothing after an empty file.
        """
        if not completes and self._version <= 6 and length is not None:
            return None
        return completes

    # "Upload Append"

    def append(self) -> Append:
        request = self.request
        if self._version > 5 and request.content_type != MEDIA_TYPE:
            raise WrongMediaType(f"Content-Type: {request.content_type!r:.80}")
        offset = request.number("upload-offset")
        if offset is None:
            raise BadRequest("no Upload-Offset")
        completes = self._completes()
        digest = _one(parse_digests(request.header("content-digest")))
        length = self._length(offset, completes)
        return Append(offset, self._ends(completes, 0), digest, length)

    # "Status Code 104 (Upload Resumption Supported)"

    def announced(self, standing: Standing) -> dict[str, str] | None:
        return {**self.headers(), "Location": standing.url, **self._limits(standing)}

    def progressed(self, offset: int) -> dict[str, str] | None:
        return {**self.headers(), "Upload-Offset": str(offset)}

    # The answers

    def created(self, standing: Standing) -> Response:
        headers = {**self._standing(standing), "Location": standing.url}
        if standing.complete:
            return Response.json(201, completion_body(standing), headers)
        return Response(201, headers)

    def appended(self, standing: Standing) -> Response:
        if standing.complete:
            return Response.json(200, completion_body(standing), self._standing(standing))
        # Version 5 answers 201 to each append; both are successes to its clients.
        return Response(204, self._standing(standing))

    def found(self, standing: Standing) -> Response:
        headers = {**self._standing(standing), "Upload-Length": str(standing.length)}
        return Response(204, headers)

    def refused(self, error: UploadError, standing: Standing | None = None) -> Response:
        headers = self._standing(standing) if standing else {}
        if isinstance(error, WrongOffset) and standing:
            members: dict[str, Any] = {
                "type": f"{_PROBLEMS}mismatching-upload-offset",
                "expected-offset": standing.offset,
                "provided-offset": self.request.number("upload-offset"),
            }
            return Response.problem(error, 409, headers, members)
        if isinstance(error, InconsistentLength):
            members = {"type": f"{_PROBLEMS}inconsistent-upload-length"}
            return Response.problem(error, 400, headers, members)
        # 460 is a status of tus only.
        status = 400 if isinstance(error, DigestMismatch) else 0
        return Response.problem(error, status, headers)

    def _standing(self, standing: Standing) -> dict[str, str]:
        return {
            "Upload-Offset": str(standing.offset),
            "Upload-Complete": "?1" if standing.complete else "?0",
            **self._limits(standing),
            **(completion_headers(standing) if standing.complete else {}),
        }

    def _limits(self, standing: Standing) -> dict[str, str]:
        if self._version <= 5:
            return {}
        return {
            "Upload-Limit": _limit(standing.limits, "expires" if self._version == 6 else "max-age")
        }


def _limit(limits: Limits, age: str = "max-age") -> str:
    """Return ``Upload-Limit``, a dictionary of RFC 9651 ("Limits")."""
    values = {"max-size": limits.max_size, "max-append-size": limits.max_append_size}
    values[age] = limits.max_age
    return ", ".join(f"{key}={value}" for key, value in values.items() if value is not None)


def _one(digests: dict[str, Digest]) -> Digest | None:
    return next(iter(digests.values()), None)


def name_and_type(request: Request) -> tuple[str, str]:
    """Return the file's name in ``Content-Disposition`` (RFC 6266) and its ``Content-Type``.

    Raises :class:`HeadersTooLarge` and :class:`BadRequest`.
    """
    content_type = request.content_type
    # What clients send that do not know the type.
    unknown = ("application/x-www-form-urlencoded", MEDIA_TYPE)
    name = parse_filename(request.header("content-disposition"))
    return name, "" if content_type in unknown else content_type


def parse_filename(disposition: str) -> str:
    """Return the file's name in the value of ``Content-Disposition``, or ``""``.

    If there are both ``filename`` and ``filename*``, the latter counts (RFC 6266, section 4.3).
    Raises :class:`HeadersTooLarge` and :class:`BadRequest`.
    """
    if len(disposition) > MAX_DISPOSITION:
        raise HeadersTooLarge(f"Content-Disposition of {len(disposition)} characters")
    message = Message()
    if disposition:
        message["Content-Disposition"] = _utf8(disposition)
    try:
        parameters = message.get_params([], "content-disposition")
        names = [value for name, value in parameters if name.lower() == "filename"]
        # Of a parameter with an asterisk, the value is a tuple.
        names.sort(key=lambda value: isinstance(value, str))
        return collapse_rfc2231_value(names[0]).strip() if names else ""
    except (LookupError, TypeError, ValueError):
        # The standard library expects parameters that RFC 2231 allows, and checks little.
        raise BadRequest(f"Content-Disposition: {disposition!r:.80}") from None


def _utf8(value: str) -> str:
    """Return a header's value as UTF-8, in which many clients write names, if it is UTF-8."""
    value = re.sub(r"[\r\n]", "", value)
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
