"""A proxy in front of an S3 store that does what no emulator does: lose an answer, be busy, fail
after it said 200, refuse chunked bodies, be slow. It remembers what it was asked.

What it imitates:

* "A response with a 200 OK status code can contain either a success or an error. […] Amazon S3
  sends white space characters to keep the connection from timing out":
  https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
* 503 SlowDown, 503 ServiceUnavailable, 500 InternalError, 501 NotImplemented, 411
  MissingContentLength: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
* An answer that is lost: the store did it, and the connection closed. HTTP allows it at any time,
  https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
* The checksums of parts in their listing, which the emulators leave out:
  https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.support.s3_stores import KEYS

_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>as told</Message></Error>"
_STATUS = {
    "AccessDenied": 403,
    "InternalError": 500,
    "MissingContentLength": 411,
    "NoSuchKey": 404,
    "NotImplemented": 501,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
}

#: Faults that are not an error's code.
LOST = "the store does it, and the connection closes"
DROPPED = "the connection closes before the store hears of it"
ERROR_IN_200 = "200, white space, and an error in the body"
TRUNCATED = "the connection closes in the middle of the answer"
NO_ETAG = "the answer is right, but has no ETag, as some stores' have none"


class FaultyStore:
    """``faults["UploadPart 2"] = ["SlowDown", LOST]`` befalls the first two of those requests.

    What ``gates`` names waits for its gate, whoever sent it: once, the next one passes.
    """

    def __init__(self, target: str, *, rate: int | None = None) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.lists_checksums = False
        self.answered: list[str] = []
        self._checksums: dict[tuple[str, str], str] = {}
        self.faults: dict[str, list[str]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.endpoint_url = ""
        self.reached = asyncio.Condition()
        self._one_at_a_time = asyncio.Lock()
        self._target = target
        #: Bytes a second for all bodies together.
        self._rate = rate

    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint_url, "region_name": "us-east-1", **KEYS}

    def count(self, name: str) -> int:
        return sum(request.startswith(name) for request in self.requests)

    async def wait_for(self, name: str, count: int = 1) -> None:
        async with asyncio.timeout(10), self.reached:
            await self.reached.wait_for(lambda: self.count(name) >= count)

    async def wait_answered(self, name: str, count: int = 1) -> None:
        async with asyncio.timeout(10), self.reached:
            await self.reached.wait_for(lambda: self.answered.count(name) >= count)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = _operation(request)
        async with self.reached:
            self.requests.append(name)
            self.headers.append(dict(request.headers))
            self.reached.notify_all()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(name, request)
        finally:
            self.in_flight -= 1
            async with self.reached:
                self.answered.append(name)
                self.reached.notify_all()

    async def _answer(self, name: str, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if gate := self.gates.pop(name, None):
            await gate.wait()
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if request.headers.get("Transfer-Encoding") == "chunked":
            fault = "MissingContentLength"
        if fault == ERROR_IN_200:
            return web.Response(text=f"  \n {_ERROR.format('InternalError')}")
        if fault in _STATUS:
            return web.Response(status=_STATUS[fault], text=_ERROR.format(fault))
        if fault == DROPPED:
            return _closed(request)
        # moto answers 500 to an abort while another thread of it takes a part.
        async with self._one_at_a_time:
            answer = await self._forward(request, body)
        self._remember(request)
        if name == "ListParts" and self.lists_checksums:
            answer = self._with_checksums(request, answer)
        if fault == TRUNCATED:
            return await _truncated(request, answer)
        if fault == NO_ETAG:
            return web.Response(text=re.sub("<ETag>.*</ETag>", "", answer.text or ""))
        return _closed(request) if fault == LOST else answer

    def _remember(self, request: web.Request) -> None:
        for header, value in request.headers.items():
            if header.lower() == "x-amz-checksum-crc32" and "partNumber" in request.query:
                part = request.query["uploadId"], request.query["partNumber"]
                self._checksums[part] = value

    def _with_checksums(self, request: web.Request, answer: web.Response) -> web.Response:
        def checksum(number: re.Match[str]) -> str:
            value = self._checksums.get((request.query["uploadId"], number[1]), "")
            return f"{number[0]}<ChecksumCRC32>{value}</ChecksumCRC32>"

        text = re.sub(r"<PartNumber>(\d+)</PartNumber>", checksum, answer.text or "")
        return web.Response(status=answer.status, text=text)

    async def _body(self, request: web.Request) -> bytes:
        chunks = []
        async for chunk in request.content.iter_chunked(256 * 1024):
            chunks.append(chunk)
            if self._rate:
                await asyncio.sleep(len(chunk) * self.in_flight / self._rate)
        return b"".join(chunks)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        skip = {"Transfer-Encoding", "Expect", "Connection", "Content-Length"}
        headers = {k: v for k, v in request.headers.items() if k not in skip}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                self._target + request.raw_path,
                headers=headers,
                data=aiohttp.BytesPayload(body) if len(body) < 2**20 else _pieces(body),
                allow_redirects=False,
                ssl=False,
            ) as answer,
        ):
            content = await answer.read()
            kept = {k: v for k, v in answer.headers.items() if k not in skip}
            if request.method == "HEAD":
                kept["Content-Length"] = answer.headers.get("Content-Length", "0")
            return web.Response(status=answer.status, body=content, headers=kept)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 2**18):
        yield body[start : start + 2**18]


def _closed(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def _truncated(request: web.Request, answer: web.Response) -> web.StreamResponse:
    assert isinstance(answer.body, bytes)
    half = web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Content-Length": str(len(answer.body))}
    )
    await half.prepare(request)
    await half.write(answer.body[: len(answer.body) // 2])
    return _closed(request)


def _operation(request: web.Request) -> str:
    query = request.query
    if "partNumber" in query and request.method == "PUT":
        return f"UploadPart {query['partNumber']}"
    if "uploadId" in query:
        return {"POST": "Complete", "DELETE": "Abort", "GET": "ListParts"}[request.method]
    if "uploads" in query:
        return {"POST": "Create", "GET": "ListUploads"}[request.method]
    if "tagging" in query:
        return f"{request.method} tagging"
    return request.method


StoreType = TypeVar("StoreType", bound=FaultyStore)


@contextlib.asynccontextmanager
async def faulty(
    target: str,
    certificate: tuple[Path, Path] | None = None,
    *,
    kind: type[StoreType] = FaultyStore,  # type: ignore[assignment]
    **options: Any,
) -> AsyncIterator[StoreType]:
    """The proxy in front of ``target``, over TLS with ``certificate``."""
    store = kind(target, **options)
    application = web.Application(client_max_size=2**31)
    application.router.add_route("*", "/{path:.*}", store.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    store.endpoint_url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    try:
        yield store
    finally:
        await runner.cleanup()
