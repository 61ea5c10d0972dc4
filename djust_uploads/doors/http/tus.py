"""tus 1.0.0: https://tus.io/protocols/resumable-upload

The core protocol, and the extensions Creation, Creation With Upload, Expiration, Checksum,
Termination and Concatenation. What the client announces in ``Upload-Metadata`` as ``filename`` or
``name``, ``filetype`` or ``type``, and ``relativePath`` is the file's name, type and folder:
tus-js-client, Uppy and tuspy use these keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from ...exceptions import UploadError
from .digests import CHECKSUMS, Digest, parse_checksum
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
    LengthRequired,
    UnsupportedVersion,
    WrongMediaType,
)
from .request import Request
from .response import Response

VERSION = "1.0.0"

EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "expiration",
    "termination",
    "checksum",
    "concatenation",
)

#: The type of the body of a ``PATCH``, and of a ``POST`` that carries bytes.
MEDIA_TYPE = "application/offset+octet-stream"

#: Characters of ``Upload-Metadata``, at most. It is kept with the upload.
MAX_METADATA = 8 * 1024


def is_spoken_in(request: Request) -> bool:
    """Return whether a request is one of tus."""
    if "upload-draft-interop-version" in request:
        # tus-js-client sends tus' metadata by the draft, too.
        return False
    return (
        "tus-resumable" in request
        or request.content_type == MEDIA_TYPE
        or "upload-metadata" in request
        or "upload-defer-length" in request
        or "upload-concat" in request
    )


def options(limits: Limits | None) -> dict[str, str]:
    """Return the headers that tell what the server can (OPTIONS)."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    if limits:
        headers["Tus-Max-Size"] = str(limits.max_size)
    return headers


class Tus(Protocol):
    """Speaks with tus-js-client, Uppy, tuspy and other clients of tus 1.0.

    Raises :class:`UnsupportedVersion` for a request in another version or in none.
    """

    ends_by_length = True

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if request.header("tus-resumable") != VERSION:
            raise UnsupportedVersion(f"Tus-Resumable: {request.header('tus-resumable')!r:.20}")

    def headers(self) -> dict[str, str]:
        return {"Tus-Resumable": VERSION}

    def creation(self) -> tuple[Creation, Append | None]:
        request = self.request
        concat = request.header("upload-concat")
        metadata = parse_metadata(request.header("upload-metadata"))
        if concat.startswith("final;"):
            return self._final(concat, metadata), None
        if "upload-concat" in request and concat != "partial":
            raise BadRequest(f"Upload-Concat: {concat!r:.80}")
        length = request.number("upload-length")
        if length is None:
            if request.header("upload-defer-length") == "1":
                raise LengthRequired("Upload-Defer-Length")
            raise BadRequest("neither Upload-Length nor Upload-Defer-Length")
        if "upload-defer-length" in request:
            raise BadRequest("both Upload-Length and Upload-Defer-Length")
        creation = self._announced_file(length, metadata, partial=concat == "partial")
        if not request.has_body:
            # An empty file is complete at once.
            return creation, None if length else Append()
        self._check_media_type()
        return creation, Append(digest=self._digest())

    def _final(self, concat: str, metadata: dict[str, str]) -> Creation:
        if "upload-length" in self.request:
            raise BadRequest("a final upload with Upload-Length")
        parts = tuple(concat.removeprefix("final;").split())
        if not parts:
            raise BadRequest("a final upload of no parts")
        return replace(self._announced_file(0, metadata), parts=parts)

    def _announced_file(
        self, length: int, metadata: dict[str, str], *, partial: bool = False
    ) -> Creation:
        echoed = ("Upload-Metadata", "Upload-Concat")
        echo = {name: value for name in echoed if (value := self.request.header(name.lower()))}
        if partial:
            # It has no name: only the final upload is judged.
            return Creation(length, metadata=metadata, echo=echo, is_partial=True)
        return Creation(
            length=length,
            name=_first(metadata, "filename", "name"),
            content_type=_first(metadata, "filetype", "type"),
            relative_path=_first(metadata, "relativePath"),
            metadata=metadata,
            echo=echo,
        )

    def append(self) -> Append:
        self._check_media_type()
        offset = self.request.number("upload-offset")
        if offset is None:
            raise BadRequest("no Upload-Offset")
        return Append(offset, digest=self._digest(), length=self.request.number("upload-length"))

    def _check_media_type(self) -> None:
        if self.request.content_type != MEDIA_TYPE:
            raise WrongMediaType(f"Content-Type: {self.request.content_type!r:.80}")

    def _digest(self) -> Digest | None:
        if "upload-checksum" not in self.request:
            return None
        return parse_checksum(self.request.header("upload-checksum"))

    def announced(self, standing: Standing) -> dict[str, str] | None:
        return None

    def created(self, standing: Standing) -> Response:
        # A path and not a URL: behind a proxy we may not know how the client reaches us.
        headers = {**self._standing_headers(standing), "Location": standing.path}
        if standing.complete and standing.result is not None:
            return Response.json(201, completion_body(standing), headers)
        return Response(201, headers)

    def appended(self, standing: Standing) -> Response:
        headers = self._standing_headers(standing)
        # The protocol asks for 204, which has no body.
        if standing.complete and standing.result is not None:
            return Response.json(200, completion_body(standing), headers)
        return Response(204, headers)

    def found(self, standing: Standing) -> Response:
        headers = {**self._standing_headers(standing), "Upload-Length": str(standing.length)}
        return Response(200, {**headers, **standing.echo})

    def _standing_headers(self, standing: Standing) -> dict[str, str]:
        headers = {"Upload-Offset": str(standing.offset)}
        if standing.complete:
            return {**headers, **completion_headers(standing)}
        if most := standing.limits.max_append_size:
            # tus has no header for it. This is the draft's.
            headers["Upload-Limit"] = f"max-append-size={most}"
        expires = datetime.now(UTC) + timedelta(seconds=standing.limits.max_age)
        return {**headers, "Upload-Expires": format_datetime(expires, usegmt=True)}


def refused_version(error: UploadError) -> Response:
    """Answer a request in another version: the answer names the versions that are spoken."""
    return Response.problem(error, headers={"Tus-Resumable": VERSION, "Tus-Version": VERSION})


def parse_metadata(value: str) -> dict[str, str]:
    """Return ``Upload-Metadata`` as a dictionary. Values that are not UTF-8 are read as Latin-1.

    Raises :class:`HeadersTooLarge` and :class:`BadRequest`.
    """
    if len(value) > MAX_METADATA:
        raise HeadersTooLarge(f"Upload-Metadata of {len(value)} characters")
    metadata: dict[str, str] = {}
    for pair in value.split(",") if value else ():
        key, _, encoded = pair.strip().partition(" ")
        if not key or not key.isascii() or key in metadata:
            raise BadRequest(f"Upload-Metadata has a wrong key: {pair!r:.80}")
        try:
            raw = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"Upload-Metadata is not base64: {pair!r:.80}") from None
        try:
            metadata[key] = raw.decode()
        except UnicodeDecodeError:
            metadata[key] = raw.decode("latin-1")
    return metadata


def _first(metadata: Mapping[str, str], *keys: str) -> str:
    return next((metadata[key] for key in keys if metadata.get(key)), "")
