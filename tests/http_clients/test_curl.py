"""curl, which knows no protocol for uploads: a plain PUT or POST, and tus and the draft by hand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.http_clients.support import (
    LARGE,
    MIB,
    SIZES,
    create,
    digest,
    expired_upload,
    file_of,
    offset,
    request,
    stored,
)
from tests.support.link import Link

TUS = ["-H", "Tus-Resumable: 1.0.0"]
OCTETS = ["-H", "Content-Type: application/offset+octet-stream"]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    def url(self, endpoint: str) -> str:
        """``Location``, which may be a path."""
        location = self.headers["location"]
        return location if "://" in location else re.match(r"\w+://[^/]+", endpoint)[0] + location


async def curl(*arguments: str | Path, code: int | None = 0) -> Answer:
    """Run curl, which must end with that code, or with any."""
    command = ["curl", "-sS", "-i", *(str(argument) for argument in arguments)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert code is None or process.returncode == code, errors.decode()
    head, _, body = last_answer(output.decode())
    lines = head.splitlines()
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(lines[0].split()[1]) if lines else 0, headers, body)


def last_answer(output: str) -> Sequence[str]:
    """Without the interim answers before it."""
    while re.match(r"HTTP/1.1 1\d\d", output):
        output = output.partition("\r\n\r\n")[2]
    return output.partition("\r\n\r\n")


def patch(path: Path, at: int, *options: str) -> list[str | Path]:
    """The options that send all of a file, which belongs to an offset."""
    return ["-X", "PATCH", *TUS, *OCTETS, "-H", f"Upload-Offset: {at}", "-T", path, *options]


# A whole file at once


@pytest.mark.parametrize("size", [*SIZES, LARGE])
async def test_put(endpoint, files, size):
    path = file_of(files, size)
    # curl adds the file's name to a URL that ends with a slash.
    answer = await curl("-T", path, endpoint.url)
    assert answer.status == 201
    assert await stored(answer.url(endpoint.url)) == digest(path)


@pytest.mark.parametrize("size", SIZES)
async def test_post(endpoint, files, size):
    path = file_of(files, size)
    octets = ["-H", "Content-Type: application/octet-stream"]
    answer = await curl("--data-binary", f"@{path}", *octets, endpoint.url)
    assert answer.status == 201
    assert await stored(answer.url(endpoint.url)) == digest(path)


async def test_a_digest_of_the_whole(endpoint, files):
    path = file_of(files, 5 * MIB)
    for data, status in ((path.read_bytes(), 201), (b"other bytes", 400)):
        sha256 = base64.b64encode(hashlib.sha256(data).digest()).decode()
        header = f"Repr-Digest: sha-256=:{sha256}:"
        answer = await curl("-T", path, "-H", header, endpoint.url)
        assert answer.status == status
    assert "digest_mismatch" in answer.body


async def test_a_plain_put_that_is_cut_leaves_nothing(endpoint, files):
    path = file_of(files, 5 * MIB)
    async with Link([endpoint.server.port]) as link:
        link.reset_after(2 * MIB)
        before = endpoint.server.temporary_files()
        await curl("-T", path, link.http(endpoint.path), code=None)
    for _ in range(100):
        if endpoint.server.temporary_files() == before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(endpoint.server.temporary_files())


# tus by hand


@pytest.mark.parametrize("size", [*SIZES, LARGE])
async def test_tus(endpoint, files, size):
    path = file_of(files, size)
    answer = await curl("-X", "POST", *TUS, "-H", f"Upload-Length: {size}", endpoint.url)
    assert answer.status == 201
    url = answer.url(endpoint.url)
    if size:
        answer = await curl(*patch(path, 0), url)
        assert (answer.status, answer.headers["upload-offset"]) == (204, str(size))
    assert await stored(url) == digest(path)


async def test_tus_when_it_is_cut_ten_times(endpoint, files, tmp_path):
    path = file_of(files, 8 * MIB)
    url = await create(endpoint.url, 8 * MIB)
    rest = tmp_path / "rest"
    async with Link([endpoint.server.port], rate=50_000_000) as link:
        link.reset_after(*[600_000] * 10)
        through = url.replace(str(endpoint.server.port), str(link.port))
        attempts = 0
        while (at := await offset(url)) < 8 * MIB:
            rest.write_bytes(path.read_bytes()[at:])
            await curl(*patch(rest, at), through, code=None)
            attempts += 1
            assert attempts < 20
        assert attempts == 11
    assert await stored(url) == digest(path)


async def test_tus_when_the_server_is_killed(endpoint, files, tmp_path):
    path = file_of(files, 8 * MIB)
    url = await create(endpoint.url, 8 * MIB)
    sending = asyncio.create_task(curl(*patch(path, 0, "--limit-rate", "10M"), url, code=None))
    await asyncio.sleep(0.4)
    await asyncio.to_thread(endpoint.server.kill)
    await asyncio.to_thread(endpoint.server.start)
    await sending
    at = await offset(url)
    assert at <= 8 * MIB
    rest = tmp_path / "rest"
    rest.write_bytes(path.read_bytes()[at:])
    assert (await curl(*patch(rest, at), url)).status == 204
    assert await stored(url) == digest(path)


async def test_tus_at_a_wrong_offset(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 6 * MIB)
    for at in (1, 6 * MIB):
        answer = await curl(*patch(path, at), url)
        assert answer.status == 409
        assert answer.headers["upload-offset"] == "0"


async def test_of_two_curls_the_later_one_wins_and_the_earlier_one_is_told(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    earlier = asyncio.create_task(curl(*patch(path, 0, "--limit-rate", "1M"), url, code=None))
    await asyncio.sleep(1)
    at = await offset(url)
    answer = await earlier
    assert answer.status == 400
    assert "A newer request goes on with this upload." in answer.body
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(at)}
    rest = path.read_bytes()[at:]
    assert (await request("PATCH", url, headers=headers, content=rest)).status_code == 204
    assert await stored(url) == digest(path)


async def test_tus_checksums(endpoint, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)

    def header(data: bytes) -> list[str]:
        checksum = base64.b64encode(hashlib.sha1(data).digest()).decode()
        return ["-H", f"Upload-Checksum: sha1 {checksum}"]

    answer = await curl(*patch(path, 0, *header(b"other bytes")), url)
    assert answer.status == 460
    assert await offset(url) == 0
    answer = await curl(*patch(path, 0, *header(path.read_bytes())), url)
    assert answer.status == 204
    assert await stored(url) == digest(path)


async def test_what_was_terminated_and_what_has_expired_is_gone(endpoint, hasty, files):
    path = file_of(files, 5 * MIB)
    url = await create(endpoint.url, 5 * MIB)
    assert (await curl("-X", "DELETE", *TUS, url)).status == 204
    assert (await curl(*patch(path, 0), url)).status in (404, 410)
    url = await expired_upload(hasty, path.read_bytes())
    assert (await curl(*patch(path, 0), url)).status in (404, 410)


# The draft by hand


async def test_the_draft(endpoint, files, tmp_path):
    path = file_of(files, 5 * MIB)
    first = tmp_path / "first"
    first.write_bytes(path.read_bytes()[:MIB])
    rest = tmp_path / "rest"
    rest.write_bytes(path.read_bytes()[MIB:])
    creation = ["-H", "Upload-Complete: ?0", "-H", f"Upload-Length: {5 * MIB}"]
    answer = await curl("--data-binary", f"@{first}", *creation, endpoint.url)
    assert (answer.status, answer.headers["upload-complete"]) == (201, "?0")
    url = answer.url(endpoint.url)
    answer = await curl("-I", url)
    assert (answer.status, answer.headers["upload-offset"]) == (204, str(MIB))
    partial = ["-X", "PATCH", "-H", "Content-Type: application/partial-upload"]
    last = ["-H", f"Upload-Offset: {MIB}", "-H", "Upload-Complete: ?1"]
    answer = await curl(*partial, *last, "-T", rest, url)
    assert (answer.status, answer.headers["upload-complete"]) == (200, "?1")
    assert await stored(url) == digest(path)
