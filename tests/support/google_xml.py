"""Google Cloud Storage's XML API, which obstore speaks and the emulator doesn't: a proxy in front
of a store of S3's.

The two have the same requests, multipart uploads included ("compatible with Amazon S3 multipart
uploads", https://cloud.google.com/storage/docs/multipart-uploads), under other names of headers,
https://cloud.google.com/storage/docs/xml-api/reference-headers. What the proxy does beside
renaming:

* ``x-goog-if-generation-match: 0`` refuses where there is an object, 412: ``If-None-Match: *``.
* DELETE of what is not there is 404: https://cloud.google.com/storage/docs/xml-api/delete-object
* Without a token, 401: https://cloud.google.com/storage/docs/xml-api/reference-status#401
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from tests.support.faulty import FaultyStore, faulty

TOKEN = "only for tests"

_NAMES = {"x-goog-meta-": "x-amz-meta-", "x-goog-storage-class": "x-amz-storage-class"}


def _to_s3(headers: Mapping[str, str]) -> dict[str, str]:
    renamed = {}
    for name, value in headers.items():
        lower = name.lower()
        for theirs, s3s in _NAMES.items():
            lower = lower.replace(theirs, s3s)
        renamed[lower] = value
    if renamed.pop("x-goog-if-generation-match", None) == "0":
        renamed["if-none-match"] = "*"
    return renamed


def _from_s3(headers: Mapping[str, str]) -> dict[str, str]:
    renamed = {}
    for name, value in headers.items():
        lower = name.lower()
        for theirs, s3s in _NAMES.items():
            lower = lower.replace(s3s, theirs)
        renamed[lower] = value
    return renamed


def _error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>")


class GoogleStore(FaultyStore):
    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint_url, "config": {"bearer_token": TOKEN}}

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(
                status=401, text="<Error><Code>AuthenticationRequired</Code></Error>"
            )
        headers = _to_s3(request.headers)
        if request.method == "DELETE" and not request.query:
            found = await super()._forward(request.clone(method="HEAD", headers={}), b"")
            if found.status == 404:
                return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        answer = await super()._forward(request.clone(headers=headers), body)
        return web.Response(
            status=answer.status, body=answer.body, headers=_from_s3(answer.headers)
        )


@contextlib.contextmanager
def google(target: str) -> Iterator[GoogleStore]:
    """The proxy in front of ``target``, on an event loop in a thread of its own."""
    ready, end = threading.Event(), asyncio.Event()
    running: list[Any] = []

    async def run() -> None:
        async with faulty(target, kind=GoogleStore) as store:
            running.extend((store, asyncio.get_running_loop()))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield running[0]
    finally:
        running[1].call_soon_threadsafe(end.set)
        thread.join()
