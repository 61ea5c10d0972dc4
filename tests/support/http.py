"""Clients of ``tests.sites.http``: each request as a test wants it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers import Server, serve

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
PARTIAL = {"Content-Type": "application/partial-upload"}

#: The servers that stream bodies, and the one that buffers them.
SERVERS = ["uvicorn", "hypercorn", "daphne"]


@contextlib.contextmanager
def http_site(
    directory: Path,
    server: str = "uvicorn",
    settings: Any = None,
    options: Sequence[str] = (),
    **environ: str,
) -> Iterator[Server]:
    """``tests.sites.http``. Called again with the same arguments: another process of it.

    ``settings`` are those of ``DJUST_UPLOADS``, ``options`` those of the server's command.
    """
    environ = {"UPLOAD_SETTINGS": json.dumps({"SHA256": True, **(settings or {})}), **environ}
    environ["URLCONF"] = "tests.sites.http"
    uploads = directory / "uploads"
    application = "tests.sites.http:application"
    with serve(application, uploads, server=server, options=options, **environ) as site:
        yield site


def metadata(**values: str) -> dict[str, str]:
    """``Upload-Metadata``."""
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    return {"Upload-Metadata": ",".join(pairs)}


class Client:
    """One client of one site. ``cookies`` and ``headers`` go with each request."""

    def __init__(self, site: Server, **options: Any) -> None:
        self.http = httpx.AsyncClient(base_url=site.http(""), timeout=30, **options)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.http.aclose()

    async def create(self, size: int, slot: str = "default", **headers: str) -> str:
        """Create an upload by tus, and return its path."""
        answer = await self.http.post(
            f"/uploads/{slot}/", headers={**TUS, "Upload-Length": str(size), **_names(headers)}
        )
        assert answer.status_code == 201, (answer, answer.text)
        return answer.headers["location"]

    async def head(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.head(path, headers={**TUS, **_names(headers)})

    async def patch(self, path: str, offset: int, body: Any, **headers: str) -> httpx.Response:
        headers = {**TUS, **OCTETS, "Upload-Offset": str(offset), **_names(headers)}
        return await self.http.patch(path, headers=headers, content=body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(path, headers=TUS)

    async def offset(self, path: str) -> int:
        answer = await self.head(path)
        assert answer.status_code == 200, answer
        return int(answer.headers["upload-offset"])

    async def content(self, path: str) -> bytes:
        answer = await self.http.get(path)
        assert answer.status_code == 200, (answer, answer.text)
        return answer.content

    async def upload(self, data: bytes, slot: str = "default", **headers: str) -> httpx.Response:
        """Upload a whole file by tus, and return the last answer."""
        path = await self.create(len(data), slot, **headers)
        answer = await self.patch(path, 0, data)
        answer.path = path
        return answer


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def slowly(data: bytes, piece: int = 64 * 1024, pause: float = 0.0) -> AsyncIterator[bytes]:
    """A body that comes in pieces."""
    for start in range(0, len(data), piece):
        yield data[start : start + piece]
        await asyncio.sleep(pause)


async def exchange(
    site: Server, request: bytes, *, close: bool = False, seconds: float = 10
) -> bytes:
    """Send bytes over a socket, and return all that is answered until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        writer.write(request)
        await writer.drain()
        if close:
            writer.write_eof()
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


class Begun:
    """A request whose body does not come to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, seconds: float = 10) -> bytes:
        """Return what is answered until the server closes the connection."""
        async with asyncio.timeout(seconds):
            return await self._reader.read()

    async def interim(self, seconds: float = 10) -> tuple[bytes, dict[str, str]]:
        """Return the status line and the headers of the next response, interim or final."""
        async with asyncio.timeout(seconds):
            head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.strip().split(b"\r\n")
        pairs = (line.decode().split(": ", 1) for line in lines)
        return status, {name.lower(): value for name, value in pairs}


@contextlib.asynccontextmanager
async def begun(site: Server, head: str, size: int, data: bytes) -> AsyncIterator[Begun]:
    """Send the beginning of a request with a body of ``size`` bytes.

    The connection is closed at the end of the block.
    """
    head += f"\r\nHost: 127.0.0.1:{site.port}\r\nContent-Length: {size}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    request = Begun(reader, writer)
    try:
        await request.send(head.encode() + data)
        yield request
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def begun_patch(
    site: Server, path: str, offset: int, size: int, data: bytes
) -> AsyncIterator[Begun]:
    """Send the beginning of a PATCH of tus."""
    head = (
        f"PATCH {path} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
        "Content-Type: application/offset+octet-stream"
    )
    async with begun(site, head, size, data) as request:
        yield request
