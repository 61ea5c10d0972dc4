"""The server that is checked, and requests as a client sends them that keeps to the protocol."""

from __future__ import annotations

import base64
import contextlib
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx

from .expect import Violation, expect_status, told

VERSION = "1.0.0"

#: The only Content-Type that a PATCH may have.
OFFSET_STREAM = "application/offset+octet-stream"

#: Plain text, so that servers that look at content take it. No two parts of it are the same.
TEXT = b"".join(b"%d bottles of beer on the wall. " % number for number in range(30))


class TusServer:
    """A server, by the URL at which it creates uploads.

    ``headers`` go with each request; a server may want an ``Authorization``. ``metadata`` goes with
    each creation, by default ``{"filename": "checklist.txt"}``. ``patience`` says after how many
    seconds an upload must have expired; 0 leaves that check out. ``client`` is used instead of a
    new one.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        patience: float = 0.0,
        client: httpx.Client | None = None,
    ) -> None:
        self.url: str = url
        self.metadata: dict[str, str] = {"filename": "checklist.txt", **(metadata or {})}
        self.patience: float = patience
        self._client = client or httpx.Client(timeout=10.0)
        self._headers = dict(headers or {})
        self._created: list[Upload] = []

    def request(
        self,
        method: str,
        url: str = "",
        headers: Mapping[str, str | None] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> httpx.Response:
        """Send a request with ``Tus-Resumable`` to an upload, or to the URL that creates uploads.

        A header that is ``None`` is left out. Raises :class:`httpx.HTTPError` without an answer.
        """
        every = {**self._headers, "Tus-Resumable": VERSION, **(headers or {})}
        sent = {name: value for name, value in every.items() if value is not None}
        return self._client.request(method, url or self.url, headers=sent, content=content)

    # What the server announces

    @functools.cached_property
    def options(self) -> httpx.Response:
        """The answer to an OPTIONS request."""
        return self.request("OPTIONS", headers={"Tus-Resumable": None})

    @functools.cached_property
    def extensions(self) -> frozenset[str]:
        """The names in ``Tus-Extension``."""
        return frozenset(listed(self.options, "Tus-Extension"))

    # Uploads

    def post(
        self,
        headers: Mapping[str, str | None] | None = None,
        content: bytes | None = None,
        method: str = "POST",
    ) -> httpx.Response:
        """Ask for a new upload. The server's metadata goes along."""
        with_metadata = {"Upload-Metadata": encoded(self.metadata), **(headers or {})}
        response = self.request(method, headers=with_metadata, content=content)
        if response.status_code == 201 and "Location" in response.headers:
            self._created.append(Upload(self, response))
        return response

    def create(self, size: int, headers: Mapping[str, str | None] | None = None) -> Upload:
        """Return a new upload of ``size`` bytes.

        Raises :class:`Violation` if the server does not create it.
        """
        return self.created(self.post({"Upload-Length": str(size), **(headers or {})}))

    def created(self, response: httpx.Response) -> Upload:
        """Return the upload that a POST has created. Raises :class:`Violation` if it has not."""
        expect_status(response, 201)
        if not response.headers.get("Location"):
            raise Violation(f"{told(response)} without Location")
        return self._created[-1]

    def upload(self, data: bytes, headers: Mapping[str, str | None] | None = None) -> Upload:
        """Return a complete upload. Raises :class:`Violation` if it can't be completed."""
        upload = self.create(len(data), headers)
        expect_status(upload.patch(data), 204)
        return upload

    def clean_up(self) -> None:
        """Terminate what was created, where the server lets clients do so."""
        created, self._created = self._created, []
        if created and "termination" in self.extensions:
            for upload in created:
                # A server that has just failed a check may have ended.
                with contextlib.suppress(httpx.TransportError):
                    upload.delete()

    def close(self) -> None:
        """Close the connections. ``with TusServer(…) as server:`` does it, too."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Upload:
    """One upload on the server."""

    def __init__(self, server: TusServer, created: httpx.Response) -> None:
        self.created: httpx.Response = created
        self.url: str = str(created.url.join(created.headers["Location"]))
        self._server = server

    def head(self, headers: Mapping[str, str | None] | None = None) -> httpx.Response:
        """Ask where the upload stands."""
        return self._server.request("HEAD", self.url, headers)

    def patch(
        self,
        data: bytes | Iterable[bytes],
        offset: int | str | None = 0,
        headers: Mapping[str, str | None] | None = None,
        method: str = "PATCH",
    ) -> httpx.Response:
        """Append ``data``. Data that is not ``bytes`` goes in chunks, without Content-Length."""
        usual = {
            "Content-Type": OFFSET_STREAM,
            "Upload-Offset": None if offset is None else str(offset),
        }
        return self._server.request(method, self.url, {**usual, **(headers or {})}, content=data)

    def delete(self, headers: Mapping[str, str | None] | None = None) -> httpx.Response:
        """Terminate the upload."""
        return self._server.request("DELETE", self.url, headers)

    def get(self) -> httpx.Response:
        """Ask for the bytes. The protocol has no such request, but many servers answer it."""
        return self._server.request("GET", self.url)


def listed(response: httpx.Response, header: str) -> list[str]:
    """Return the members of a header that is a comma-separated list."""
    value: str = response.headers.get(header, "")
    return [name.strip() for name in value.split(",")] if value else []


def encoded(metadata: Mapping[str, Any]) -> str | None:
    """Return the value of ``Upload-Metadata``; ``None`` if there is no metadata."""
    pairs = []
    for key, value in metadata.items():
        data = value if isinstance(value, bytes) else str(value).encode()
        pairs.append(f"{key} {base64.b64encode(data).decode()}")
    return ",".join(pairs) or None
