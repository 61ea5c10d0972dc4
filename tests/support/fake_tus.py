"""A tus server without a network, for the faults that no real one makes when it is asked to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import httpx

URL = "https://upload.example/files/"


class FakeTus:
    """``httpx.AsyncClient(transport=fake.transport)`` uploads to it. It has one upload.

    ``faults`` are answers that it gives instead of its own: a method, how many requests with this
    method it answers before, and the answer; or an exception that the connection raises.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.length: int | None = None
        self.requests: list[httpx.Request] = []
        self.faults: list[tuple[str, int, httpx.Response | Exception]] = []
        #: Headers of each of its answers.
        self.headers: dict[str, str] = {}
        self.location = "1"
        #: What is done to the bytes of a PATCH on the way.
        self.spoil: Callable[[bytes], bytes] = bytes

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport)

    def fail(self, method: str, after: int, answer: httpx.Response | Exception) -> None:
        self.faults.append((method, after, answer))

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        count = self.methods().count(request.method)
        self.requests.append(request)
        await request.aread()
        for fault in self.faults:
            if fault[:2] == (request.method, count):
                if isinstance(fault[2], Exception):
                    raise fault[2]
                return fault[2]
        answer: httpx.Response = getattr(self, f"_{request.method.lower()}")(request)
        answer.headers.update({"Tus-Resumable": "1.0.0", **self.headers})
        return answer

    def _options(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(204, headers={"Tus-Checksum-Algorithm": "md5, sha1"})

    def _post(self, request: httpx.Request) -> httpx.Response:
        self.length = int(request.headers["Upload-Length"])
        self.data.clear()
        return httpx.Response(201, headers={"Location": self.location})

    def _head(self, request: httpx.Request) -> httpx.Response:
        if self.length is None:
            return httpx.Response(404)
        return httpx.Response(200, headers={"Upload-Offset": str(len(self.data))})

    def _patch(self, request: httpx.Request) -> httpx.Response:
        if int(request.headers["Upload-Offset"]) != len(self.data):
            return httpx.Response(409)
        content = self.spoil(request.content)
        if (checksum := request.headers.get("Upload-Checksum")) and checksum != sha1(content):
            return httpx.Response(460)
        self.data += content
        return httpx.Response(204, headers={"Upload-Offset": str(len(self.data))})

    def _delete(self, request: httpx.Request) -> httpx.Response:
        self.length = None
        return httpx.Response(204)


def sha1(data: bytes) -> str:
    """Return the value of Upload-Checksum."""
    return f"sha1 {base64.b64encode(hashlib.sha1(data).digest()).decode()}"


def repr_digest(data: bytes) -> str:
    """Return the value of Repr-Digest."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
