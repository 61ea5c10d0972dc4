"""A whole file in one ``POST`` or ``PUT``, as ``curl -T`` sends it. It cannot be resumed."""

from __future__ import annotations

from ...exceptions import DigestMismatch, UploadError
from .digests import parse_digests
from .draft import name_and_type
from .intents import (
    Append,
    Creation,
    Protocol,
    Standing,
    completion_body,
    completion_headers,
)
from .problems import BadRequest, LengthRequired, WrongMediaType
from .request import Request
from .response import Response


class Plain(Protocol):
    """Speaks with clients that know no protocol for resumable uploads.

    ``name`` is the last component of the URL, which is the file's name unless
    ``Content-Disposition`` tells another one.
    """

    def __init__(self, request: Request, name: str = "") -> None:
        super().__init__(request)
        self._name = name

    def creation(self) -> tuple[Creation, Append | None]:
        request = self.request
        if request.content_type == "multipart/form-data":
            raise WrongMediaType("a form; the body must be the file itself")
        if request.content_length is None:
            raise LengthRequired("no Content-Length")
        name, content_type = name_and_type(request)
        digests = {
            **parse_digests(request.header("content-digest")),
            **parse_digests(request.header("repr-digest")),
        }
        creation = Creation(
            length=request.content_length,
            name=name or self._name,
            content_type=content_type,
            expected_sha256=digests["sha-256"].value.hex() if "sha-256" in digests else "",
            resumable=False,
        )
        return creation, Append(completes=True)

    def append(self) -> Append:
        raise BadRequest("a PATCH of no protocol")

    def announced(self, standing: Standing) -> dict[str, str] | None:
        return None

    def created(self, standing: Standing) -> Response:
        headers = {**completion_headers(standing), "Location": standing.path}
        return Response.json(201, completion_body(standing), headers)

    appended = created

    def found(self, standing: Standing) -> Response:
        return Response(200, completion_headers(standing))

    def refused(self, error: UploadError, standing: Standing | None = None) -> Response:
        # 460 is a status of tus only.
        return Response.problem(error, 400 if isinstance(error, DigestMismatch) else 0)
