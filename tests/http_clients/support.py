"""What the tests of all clients share: files, what the server has, and requests beside a client."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.endpoints import Endpoint
from tests.support.matrix import again

MIB = 1024 * 1024

#: Each client sends files of these sizes, and one of 200 MB.
SIZES = [0, 1, 5 * MIB]
LARGE = 200_000_000

#: Seconds after which uploads of the fixture ``hasty`` expire.
HASTY = 3

#: What tus-js-client speaks.
every_protocol = pytest.mark.parametrize(
    "protocol", ["tus-v1", again("ietf-draft-03"), "ietf-draft-05"]
)

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def file_of(directory: Path, size: int) -> Path:
    path = directory / f"{size}.bin"
    if not path.exists():
        with path.open("wb") as file:
            for start in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - start)))
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def stored(url: str) -> str:
    """The SHA-256 of what the server has, from its first byte to its last."""
    sha256 = hashlib.sha256()
    async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as response:
        assert response.status_code == 200, response
        async for block in response.aiter_raw():
            sha256.update(block)
    return sha256.hexdigest()


async def request(method: str, url: str, **options: Any) -> httpx.Response:
    """A request of tus."""
    headers = {**TUS, **options.pop("headers", {})}
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, url, headers=headers, **options)


async def create(url: str, size: int) -> str:
    """A new upload's URL."""
    response = await request("POST", url, headers={"Upload-Length": str(size)})
    assert response.status_code == 201, response
    return str(response.url.join(response.headers["Location"]))


async def append(url: str, offset: int, data: bytes) -> httpx.Response:
    headers = {**OCTETS, "Upload-Offset": str(offset)}
    return await request("PATCH", url, headers=headers, content=data)


async def offset(url: str) -> int:
    response = await request("HEAD", url)
    assert response.status_code == 200, response
    return int(response.headers["Upload-Offset"])


async def expired_upload(hasty: Endpoint, data: bytes) -> str:
    """An upload at an endpoint where uploads expire after some seconds, and this one has."""
    upload = await create(hasty.url, len(data))
    assert (await append(upload, 0, data[: len(data) // 2])).status_code == 204
    # A process that has it, keeps it for longer.
    await asyncio.to_thread(hasty.server.kill)
    await asyncio.to_thread(hasty.server.start)
    await asyncio.sleep(HASTY)
    return upload
