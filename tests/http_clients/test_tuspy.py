"""tuspy, the tus client for Python of the protocol's authors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader import Uploader

from tests.http_clients.support import (
    LARGE,
    MIB,
    SIZES,
    append,
    create,
    digest,
    expired_upload,
    file_of,
    offset,
    request,
    stored,
)
from tests.support.link import Link


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """tuspy leaves the files that it opens to the garbage collector."""
    files = []

    def get_file_stream(self):
        files.append(Path(self.file_path).open("rb"))  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr(Uploader, "get_file_stream", get_file_stream)
    yield
    for file in files:
        file.close()


def uploader(endpoint: str, path: Path, **options) -> Uploader:
    options = {"chunk_size": MIB, "metadata": {"filename": path.name}, **options}
    return TusClient(endpoint).uploader(str(path), **options)


async def upload(endpoint: str, path: Path, **options) -> Uploader:
    """A complete upload. tuspy blocks."""

    def run() -> Uploader:
        running = uploader(endpoint, path, **options)
        running.upload()
        return running

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("size", SIZES)
async def test_sizes(endpoint, files, size):
    path = file_of(files, size)
    done = await upload(endpoint.url, path)
    # It creates an upload of no bytes when it is asked to send a chunk.
    assert await stored(done.url or await asyncio.to_thread(done.create_url)) == digest(path)


async def test_a_large_file(endpoint, files):
    path = file_of(files, LARGE)
    done = await upload(endpoint.url, path, chunk_size=64 * MIB)
    assert await stored(done.url) == digest(path)


async def test_cut_ten_times(endpoint, files):
    path = file_of(files, 12 * MIB)
    async with Link([endpoint.server.port]) as link:
        link.reset_after(*[MIB] * 10)
        done = await upload(
            link.http(endpoint.path), path, chunk_size=3 * MIB, retries=10, retry_delay=0
        )
        assert not link.will_reset
        assert await stored(done.url) == digest(path)


KILLED = """
import os, signal, sys
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

url, path, storage = sys.argv[1:]
uploader = TusClient(url).uploader(
    path, chunk_size=1024 * 1024, store_url=True, url_storage=FileStorage(storage)
)
uploader.upload(stop_at=3 * 1024 * 1024)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_the_client_s_process_is_killed(endpoint, files, tmp_path):
    path = file_of(files, 5 * MIB)
    storage = tmp_path / "urls.json"
    command = [sys.executable, "-c", KILLED, endpoint.url, str(path), str(storage)]
    done = await asyncio.to_thread(subprocess.run, command, check=False)
    assert done.returncode == -9
    options = {"store_url": True, "url_storage": FileStorage(str(storage))}
    again = await asyncio.to_thread(uploader, endpoint.url, path, **options)
    assert again.offset == 3 * MIB
    await asyncio.to_thread(again.upload)
    options["url_storage"].close()
    assert await stored(again.url) == digest(path)


async def test_the_server_s_process_is_killed(endpoint, files):
    path = file_of(files, 5 * MIB)
    running = await asyncio.to_thread(uploader, endpoint.url, path, retries=100, retry_delay=0.1)
    await asyncio.to_thread(running.upload, stop_at=2 * MIB)
    await asyncio.to_thread(endpoint.server.kill)
    rest = asyncio.create_task(asyncio.to_thread(running.upload))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(endpoint.server.start)
    await rest
    assert await stored(running.url) == digest(path)


async def test_a_wrong_offset(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    running = await asyncio.to_thread(uploader, endpoint.url, path, url=url)
    running.offset = MIB
    with pytest.raises(TusUploadFailed) as raised:
        await asyncio.to_thread(running.upload_chunk)
    assert raised.value.status_code == 409
    assert await offset(url) == 0


async def test_of_two_clients_the_later_one_wins_and_the_earlier_one_is_told(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    async with Link([endpoint.server.port], rate=1_000_000) as link:
        through = url.replace(str(endpoint.server.port), str(link.port))
        options = {"url": through, "chunk_size": 5 * MIB}
        earlier = asyncio.create_task(upload(link.http(endpoint.path), path, **options))
        await asyncio.sleep(1.5)
        await upload(endpoint.url, path, url=url)
        with pytest.raises(TusUploadFailed) as raised:
            await earlier
    assert raised.value.status_code == 400
    assert b"A newer request goes on with this upload." in raised.value.response_content
    assert await stored(url) == digest(path)


async def test_right_checksums(endpoint, files):
    path = file_of(files, 5 * MIB)
    done = await upload(endpoint.url, path, upload_checksum=True)
    assert await stored(done.url) == digest(path)


async def test_wrong_checksums(endpoint, files, monkeypatch):
    monkeypatch.setattr("tusclient.request.TusRequest.add_checksum", wrong_checksum)
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    with pytest.raises(TusUploadFailed) as raised:
        await upload(endpoint.url, path, url=url, upload_checksum=True)
    assert raised.value.status_code == 460
    assert await offset(url) == 0


def wrong_checksum(self, chunk: bytes) -> None:
    self._request_headers["upload-checksum"] = "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="


async def test_what_was_terminated(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    running = await asyncio.to_thread(uploader, endpoint.url, path, url=url)
    assert (await request("DELETE", url)).status_code == 204
    with pytest.raises(TusUploadFailed) as raised:
        await asyncio.to_thread(running.upload)
    assert raised.value.status_code in (404, 410)
    with pytest.raises(TusCommunicationError):
        await asyncio.to_thread(uploader, endpoint.url, path, url=url)


async def test_what_has_expired(hasty, files):
    path = file_of(files, 5 * MIB)
    url = await expired_upload(hasty, path.read_bytes())
    with pytest.raises(TusCommunicationError) as raised:
        await asyncio.to_thread(uploader, hasty.url, path, url=url)
    assert raised.value.status_code in (404, 410)


async def test_what_somebody_else_has_sent(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    assert (await append(url, 0, path.read_bytes()[:MIB])).status_code == 204
    done = await upload(endpoint.url, path, url=url)
    assert done.offset == 5 * MIB
    assert await stored(url) == digest(path)
