"""What a request asks for and what became of it, in words that belong to no protocol."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...exceptions import UploadError
from .digests import Digest
from .request import Request
from .response import Response


@dataclass(frozen=True)
class Creation:
    """The client announces a file, and may send bytes of it in the same request."""

    #: Bytes of the whole file. It is 0 for a file of :attr:`parts`.
    length: int
    name: str = ""
    content_type: str = ""
    relative_path: str = ""
    #: What the client tells of the file beside that.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: Headers that the client wants back when it asks for the offset.
    echo: Mapping[str, str] = field(default_factory=dict)
    #: The SHA-256 that the file must have, in hexadecimal digits, or ``""``.
    expected_sha256: str = ""
    #: Whether the client can go on in another request.
    resumable: bool = True
    #: Whether the file is to become a part of another one.
    is_partial: bool = False
    #: The URLs of the partial uploads of which the file consists.
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Append:
    """The request's body is the next bytes of the file, from ``offset`` on."""

    offset: int = 0
    #: Whether the file ends where the body ends. ``None``: it ends where its length says.
    completes: bool | None = None
    #: What the body must be, or ``None``. Nothing is stored before that is known.
    digest: Digest | None = None
    #: The length of the whole file, if the request tells it.
    length: int | None = None


@dataclass(frozen=True)
class Limits:
    """What a client may send. ``None`` means that there is no limit."""

    #: Bytes of one file.
    max_size: int
    #: Bytes of one request's body.
    max_append_size: int | None
    #: Seconds for which an upload may be interrupted.
    max_age: int


@dataclass(frozen=True)
class Standing:
    """Where an upload stands."""

    #: The path of the upload's URL.
    path: str
    #: The same with scheme and host.
    url: str
    #: The byte at which the client goes on.
    offset: int
    length: int
    limits: Limits
    complete: bool = False
    #: What the application returned for the complete upload.
    result: Any = None
    #: The token for the complete upload, unless the application has consumed it.
    receipt: str = ""
    #: The SHA-256 of the complete file in hexadecimal digits, if it is known.
    sha256: str = ""
    #: Headers that the client wants back.
    echo: Mapping[str, str] = field(default_factory=dict)


class Protocol(abc.ABC):
    """How one kind of client speaks. It parses a request, and writes the answers to it.

    The methods that parse raise an :class:`~djust_uploads.exceptions.UploadError` for a request
    that the protocol does not allow.
    """

    #: Whether an upload is complete as soon as its last byte is there.
    ends_by_length = False

    def __init__(self, request: Request) -> None:
        self.request = request

    @abc.abstractmethod
    def creation(self) -> tuple[Creation, Append | None]:
        """Return what a request to create an upload asks for."""

    @abc.abstractmethod
    def append(self) -> Append:
        """Return what a request to an upload carries."""

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer has."""
        return {}

    @abc.abstractmethod
    def announced(self, standing: Standing) -> dict[str, str] | None:
        """Return the headers of an interim response with the upload's URL, if any."""

    def progressed(self, offset: int) -> dict[str, str] | None:
        """Return the headers of an interim response that tells the offset, if there is one."""
        return None

    @abc.abstractmethod
    def created(self, standing: Standing) -> Response:
        """Answer a request that created an upload."""

    @abc.abstractmethod
    def appended(self, standing: Standing) -> Response:
        """Answer a request that carried bytes."""

    @abc.abstractmethod
    def found(self, standing: Standing) -> Response:
        """Answer the question where an upload stands."""

    def cancelled(self) -> Response:
        """Answer a request that ended an upload."""
        return Response(204)

    def refused(self, error: UploadError, standing: Standing | None = None) -> Response:
        """Answer a request that failed. ``standing`` is the upload's, if it can go on."""
        headers = {"Upload-Offset": str(standing.offset)} if standing else {}
        return Response.problem(error, headers=headers)


def completion_body(standing: Standing) -> dict[str, Any]:
    """Return what the client of a complete upload gets as JSON."""
    return {"receipt": standing.receipt or None, "result": standing.result}


def completion_headers(standing: Standing) -> dict[str, str]:
    """Return the headers that tell of a complete upload, in the final answer and afterwards."""
    headers = {}
    if standing.receipt:
        headers["Upload-Receipt"] = standing.receipt
    if standing.sha256:
        headers["Repr-Digest"] = Digest.sha256(standing.sha256).header()
    return headers
