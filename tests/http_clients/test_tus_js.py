"""tus-js-client in Node, by tus 1.0 and by the two versions of the IETF's draft that it speaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http_clients.support import (
    LARGE,
    MIB,
    SIZES,
    append,
    create,
    digest,
    every_protocol,
    expired_upload,
    file_of,
    offset,
    request,
    stored,
)
from tests.support import npm
from tests.support.link import Link
from tests.support.servers import ROOT


class Node:
    """A running tests/npm/tus_js.mjs, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    async def until(self, name: str, **values: Any) -> dict[str, Any]:
        """Read events until one of that name, with at least these values, has come."""
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == name and all(event[key] >= values[key] for key in values):
                return event
        raise AssertionError(self.events[-1])


@contextlib.asynccontextmanager
async def uploading(path: Path, endpoint: str, **options: Any) -> AsyncIterator[Node]:
    options = {
        "path": str(path),
        "endpoint": endpoint,
        "metadata": {"filename": path.name, "filetype": "application/octet-stream"},
        **options,
    }
    process = await asyncio.create_subprocess_exec(
        *npm.script("tus_js.mjs", json.dumps(options)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield Node(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@every_protocol
@pytest.mark.parametrize("size", SIZES)
async def test_sizes(endpoint, files, protocol, size):
    path = file_of(files, size)
    async with uploading(path, endpoint.url, protocol=protocol) as node:
        uploaded = await node.until("success")
    assert await stored(uploaded["url"]) == digest(path)


@pytest.mark.parametrize("options", [{}, {"uploadDataDuringCreation": True}], ids=["", "at once"])
async def test_a_large_file(endpoint, files, options):
    path = file_of(files, LARGE)
    async with uploading(path, endpoint.url, chunkSize=50 * MIB, **options) as node:
        uploaded = await node.until("success")
    assert await stored(uploaded["url"]) == digest(path)


@every_protocol
async def test_cut_ten_times(endpoint, files, protocol):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=30_000_000) as link:
        link.reset_after(*[600_000] * 10)
        options = {"protocol": protocol, "retryDelays": [0] * 5}
        async with uploading(path, link.http(endpoint.path), **options) as node:
            uploaded = await node.until("success")
        assert not link.will_reset
        assert await stored(uploaded["url"]) == digest(path)


@every_protocol
async def test_the_client_s_process_is_killed(endpoint, files, tmp_path, protocol):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=10_000_000) as link:
        options = {
            "protocol": protocol,
            "storage": str(tmp_path / "urls.json"),
            "endpoint": link.http(endpoint.path),
        }
        async with uploading(path, **options) as node:
            begun = await node.until("url")
            await node.until("progress", sent=4 * MIB)
        async with uploading(path, **options) as node:
            first = await node.until("progress")
            uploaded = await node.until("success")
        assert uploaded["url"] == begun["url"]
        assert first["sent"] > MIB, "it went on, and did not start anew"
        assert await stored(uploaded["url"]) == digest(path)


@every_protocol
async def test_the_server_s_process_is_killed(endpoint, files, protocol):
    path = file_of(files, 8 * MIB)
    async with Link([endpoint.server.port], rate=10_000_000) as link:
        options = {"protocol": protocol, "retryDelays": [200] * 50}
        async with uploading(path, link.http(endpoint.path), **options) as node:
            await node.until("progress", sent=4 * MIB)
            await asyncio.to_thread(endpoint.server.kill)
            await asyncio.to_thread(endpoint.server.start)
            uploaded = await node.until("success")
    assert await stored(endpoint.server.http(uploaded["url"].split(str(link.port))[1])) == digest(
        path
    )


@every_protocol
async def test_of_two_clients_the_later_one_wins_and_the_earlier_one_is_told(
    endpoint, files, protocol
):
    # The later client begins long before the earlier one has sent all, which takes ten seconds.
    path = file_of(files, 20 * MIB)
    async with Link([endpoint.server.port], rate=2_000_000) as link:
        slow = uploading(path, link.http(endpoint.path), protocol=protocol)
        async with slow as earlier:
            begun = await earlier.until("url")
            url = begun["url"].replace(str(link.port), str(endpoint.server.port))
            await earlier.until("progress", sent=MIB)
            options = {"protocol": protocol, "uploadUrl": url}
            async with uploading(path, endpoint.url, **options) as later:
                uploaded = await later.until("success")
            error = await earlier.until("error")
    assert error["status"] == 400
    assert "goes on with this upload" in error["body"]
    assert await stored(uploaded["url"]) == digest(path)


async def test_an_offset_that_is_wrong_meanwhile(endpoint, files):
    """Between its question and its bytes, somebody else sends some. It asks again."""
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    async with Link([endpoint.server.port], delay=1.5) as link:
        slow = url.replace(str(endpoint.server.port), str(link.port))
        options = {"uploadUrl": slow, "retryDelays": [100] * 5}
        async with uploading(path, link.http(endpoint.path), **options) as node:
            await node.until("url")
            assert (await append(url, 0, path.read_bytes()[:1000])).status_code == 204
            await node.until("success")
    assert await stored(url) == digest(path)


@every_protocol
async def test_what_was_terminated_starts_anew(endpoint, files, protocol):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    assert (await request("DELETE", url)).status_code == 204
    async with uploading(path, endpoint.url, protocol=protocol, uploadUrl=url) as node:
        uploaded = await node.until("success")
    assert uploaded["url"] != url
    assert await stored(uploaded["url"]) == digest(path)


@every_protocol
async def test_what_is_terminated_on_its_way_is_told(endpoint, files, protocol):
    path = file_of(files, 5 * MIB)
    async with (
        Link([endpoint.server.port], rate=1_000_000) as link,
        uploading(path, link.http(endpoint.path), protocol=protocol) as node,
    ):
        begun = await node.until("url")
        await node.until("progress", sent=MIB)
        url = begun["url"].replace(str(link.port), str(endpoint.server.port))
        assert (await request("DELETE", url)).status_code == 204
        error = await node.until("error")
    assert error["status"] in (400, 404, 410), error


@every_protocol
async def test_what_has_expired_starts_anew(hasty, files, protocol):
    path = file_of(files, 5 * MIB)
    url = await expired_upload(hasty, path.read_bytes())
    async with uploading(path, hasty.url, protocol=protocol, uploadUrl=url) as node:
        uploaded = await node.until("success")
    assert uploaded["url"] != url
    assert await stored(uploaded["url"]) == digest(path)


async def test_the_method_override(endpoint, files):
    path = file_of(files, 5 * MIB)
    async with uploading(path, endpoint.url, overridePatchMethod=True, chunkSize=MIB) as node:
        uploaded = await node.until("success")
    assert await stored(uploaded["url"]) == digest(path)
    assert await offset(uploaded["url"]) == 5 * MIB
