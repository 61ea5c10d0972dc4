"""The requests of tus 1.0.0."""

from __future__ import annotations

import base64
import hashlib
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx

from . import answers
from .errors import InvalidAnswer, Unreachable

Fields = Mapping[str, str]

#: Headers for each request, or a function that returns them, so that a token can be renewed.
Headers = Fields | Callable[[], Fields] | Callable[[], Awaitable[Fields]]

#: In the order in which they are preferred: tus's name, and Python's.
CHECKSUMS = ("sha256", "sha1")


class Tus:
    """An endpoint that creates uploads. Every method raises :class:`.ClientError`, and so does
    the constructor.

    The caller's headers go to the endpoint's origin only: a ``Location`` may lead to another host.
    """

    def __init__(self, http: httpx.AsyncClient, endpoint: str, headers: Headers | None) -> None:
        answers.check_url(endpoint)
        self.endpoint = endpoint
        self._http = http
        self._headers = headers or {}

    @property
    def renews_headers(self) -> bool:
        """Whether the headers of the next request may be others."""
        return callable(self._headers)

    async def checksum_algorithm(self) -> str:
        """Return one that the server has. Raises :class:`.InvalidAnswer` if there is none."""
        response = await self._request("OPTIONS", self.endpoint)
        answers.check(response, 200, 204)
        announced = response.headers.get("Tus-Checksum-Algorithm", "").replace(" ", "").split(",")
        for name in CHECKSUMS:
            if name in announced:
                return name
        raise InvalidAnswer(
            f"{self.endpoint} announces no checksums", message="The server checks no checksums."
        )

    async def create(self, size: int, metadata: Fields) -> httpx.Response:
        fields = {"Upload-Length": str(size), "Upload-Metadata": _encoded(metadata)}
        response = await self._request("POST", self.endpoint, fields)
        answers.check(response, 201)
        return response

    async def ask(self, url: str) -> httpx.Response:
        """Ask where the upload stands."""
        response = await self._request("HEAD", url)
        answers.check(response, 200, 204)
        return response

    async def append(
        self, url: str, offset: int, size: int, content: AsyncIterator[bytes]
    ) -> httpx.Response:
        """Send ``size`` bytes, which belong to ``offset``."""
        return await self._append(url, offset, content, {"Content-Length": str(size)})

    async def append_checked(
        self, url: str, offset: int, data: bytes, algorithm: str
    ) -> httpx.Response:
        """Send ``data``, which the server keeps only if its checksum is right."""
        checksum = base64.b64encode(hashlib.new(algorithm, data, usedforsecurity=False).digest())
        fields = {"Upload-Checksum": f"{algorithm} {checksum.decode()}"}
        return await self._append(url, offset, data, fields)

    async def _append(
        self, url: str, offset: int, content: bytes | AsyncIterator[bytes], fields: Fields
    ) -> httpx.Response:
        usual = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        response = await self._request("PATCH", url, {**usual, **fields}, content)
        answers.check(response, 204, 200)
        return response

    async def terminate(self, url: str) -> None:
        """Let the server delete the upload. Servers need not offer it."""
        await self._request("DELETE", url)

    async def _request(
        self,
        method: str,
        url: str,
        fields: Fields | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        """Raises :class:`.Unreachable` if no answer comes."""
        every = {"Tus-Resumable": "1.0.0", **await self._callers(url), **(fields or {})}
        try:
            return await self._http.request(method, url, headers=every, content=content)
        except httpx.TransportError as exc:
            error = Unreachable(f"{method} {url}: {type(exc).__name__} {exc}".rstrip())
            error.retryable = not _is_untrusted(exc)
            raise error from exc

    async def _callers(self, url: str) -> Fields:
        if _origin(url) != _origin(self.endpoint):
            return {}
        headers = self._headers() if callable(self._headers) else self._headers
        return await headers if inspect.isawaitable(headers) else headers


def _encoded(metadata: Fields) -> str:
    """https://tus.io/protocols/resumable-upload#upload-metadata"""
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items()
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def _is_untrusted(exc: BaseException | None) -> bool:
    """Whether it is the server's certificate, which will not be better at the next attempt."""
    while exc and not isinstance(exc, ssl.SSLCertVerificationError):
        exc = exc.__cause__ or exc.__context__
    return exc is not None
