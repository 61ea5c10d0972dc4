"""The client uploads to real servers over networks that fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from djust_uploads.client import UploadGone, upload
from tests.support import npm
from tests.support.link import Link
from tests.support.servers import ROOT, wait_until

KIB = 1024
MIB = 1024 * 1024

pytestmark = pytest.mark.usefixtures("impatient")


def file_of(directory: Path, size: int) -> Path:
    path = directory / "data.bin"
    path.write_bytes(os.urandom(size))
    return path


def stored(url: str) -> bytes:
    return httpx.get(url).raise_for_status().content


def start_cli(path: Path, url: str, state: Path) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "djust_uploads", "upload", str(path), url]
    environ = {**os.environ, "XDG_STATE_HOME": str(state.parent)}
    return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
async def test_the_server_has_the_bytes(endpoint, tmp_path, state, size):
    path = file_of(tmp_path, size)
    moves = []
    uploaded = await upload(
        endpoint.url, path, progress=lambda *move: moves.append(move), state_directory=state
    )
    assert await asyncio.to_thread(stored, uploaded.url) == path.read_bytes()
    assert uploaded.size == size
    assert moves == sorted(moves)
    assert moves[-1] == (size, size)
    assert list(state.iterdir()) == []


@pytest.mark.skipif(not npm.modules(), reason="npm's packages are not to be had here")
@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
async def test_another_author_s_server_has_them_too(another_author_s, tmp_path, state, size):
    path = file_of(tmp_path, size)
    uploaded = await upload(another_author_s.url, path, state_directory=state, chunk_size=2 * MIB)
    assert await asyncio.to_thread(stored, uploaded.url) == path.read_bytes()


async def test_the_name_and_the_type_go_along(endpoint, tmp_path, state):
    path = tmp_path / "naïve.txt"
    path.write_text("plain text")
    uploaded = await upload(endpoint.url, path, state_directory=state)
    response = await asyncio.to_thread(httpx.head, uploaded.url, headers={"Tus-Resumable": "1.0.0"})
    assert "filename bmHDr3ZlLnR4dA==" in response.headers["Upload-Metadata"]
    assert "filetype dGV4dC9wbGFpbg==" in response.headers["Upload-Metadata"]


async def test_it_goes_on_when_the_connection_is_cut_ten_times(endpoint, tmp_path, state):
    path = file_of(tmp_path, 22 * MIB)
    async with Link([endpoint.server.port]) as link:
        link.reset_after(*[2 * MIB] * 10)
        uploaded = await upload(link.http(endpoint.path), path, state_directory=state)
        assert not link.will_reset
        data = await asyncio.to_thread(stored, uploaded.url)
    assert data == path.read_bytes()


async def test_it_goes_on_when_the_server_was_killed(endpoint, tmp_path, state):
    path = file_of(tmp_path, 20 * MIB)
    killed = False

    def kill(sent: int, size: int) -> None:
        nonlocal killed
        if sent >= size // 2 and not killed:
            killed = True
            endpoint.server.kill()
            endpoint.server.start()

    uploaded = await upload(endpoint.url, path, progress=kill, state_directory=state)
    assert killed
    assert await asyncio.to_thread(stored, uploaded.url) == path.read_bytes()


async def test_it_goes_on_after_it_was_killed(endpoint, tmp_path, state):
    path = file_of(tmp_path, 12 * MIB)
    async with Link([endpoint.server.port], rate=8_000_000) as link:
        url = link.http(endpoint.path)
        first = await asyncio.to_thread(start_cli, path, url, state)
        assert await wait_until(state.exists, 10)
        link.reset_after(6 * MIB)
        # The connection's end and the process's come together.
        assert await wait_until(lambda: not link.will_reset, 10)
        first.send_signal(signal.SIGKILL)
        first.wait()
        [record] = state.iterdir()
        assert (record.stat().st_mode & 0o777) == 0o600
        sent = []
        uploaded = await upload(
            url, path, progress=lambda now, size: sent.append(now), state_directory=state
        )
        data = await asyncio.to_thread(stored, uploaded.url)
    assert data == path.read_bytes()
    assert sent[0] > MIB, "it went on, and did not start anew"
    assert list(state.iterdir()) == []


async def test_another_file_or_a_changed_one_is_another_upload(endpoint, tmp_path, state):
    path = file_of(tmp_path, MIB)
    with pytest.raises(RuntimeError):
        await upload(endpoint.url, path, progress=stop_in_the_middle, state_directory=state)
    path.write_bytes(os.urandom(MIB))
    uploaded = await upload(endpoint.url, path, state_directory=state)
    assert await asyncio.to_thread(stored, uploaded.url) == path.read_bytes()


def stop_in_the_middle(sent: int, size: int) -> None:
    if sent >= size // 2:
        raise RuntimeError("stopped")


async def test_an_upload_that_is_gone_starts_anew(endpoint, tmp_path, state):
    path = file_of(tmp_path, 3 * MIB)
    with pytest.raises(RuntimeError):
        await upload(endpoint.url, path, progress=stop_in_the_middle, state_directory=state)
    [record] = state.iterdir()
    url = record.read_text().split('"url": "')[1].split('"')[0]
    tus = {"Tus-Resumable": "1.0.0"}
    assert (await asyncio.to_thread(httpx.delete, url, headers=tus)).status_code == 204
    uploaded = await upload(endpoint.url, path, state_directory=state)
    assert uploaded.url != url
    assert await asyncio.to_thread(stored, uploaded.url) == path.read_bytes()


async def test_an_upload_that_goes_while_it_is_sent_is_an_error(endpoint, tmp_path, state):
    path = file_of(tmp_path, 6 * MIB)

    def terminate(sent: int, size: int) -> None:
        for record in state.iterdir():
            url = record.read_text().split('"url": "')[1].split('"')[0]
            httpx.delete(url, headers={"Tus-Resumable": "1.0.0"})

    with pytest.raises(UploadGone):
        await upload(
            endpoint.url, path, progress=terminate, chunk_size=2 * MIB, state_directory=state
        )
    assert list(state.iterdir()) == []


async def test_resume_false_remembers_nothing(endpoint, tmp_path, state):
    path = file_of(tmp_path, MIB)
    seen = []
    await upload(
        endpoint.url,
        path,
        resume=False,
        progress=lambda sent, size: seen.append(state.exists()),
        state_directory=state,
    )
    assert seen and not any(seen)


async def test_chunk_size_is_the_most_that_a_request_carries(endpoint, tmp_path, state):
    path = file_of(tmp_path, MIB)
    patches = []

    async def note(request: httpx.Request) -> None:
        if request.method == "PATCH":
            patches.append(int(request.headers["Content-Length"]))

    async with httpx.AsyncClient(event_hooks={"request": [note]}) as client:
        await upload(endpoint.url, path, chunk_size=300_000, client=client, state_directory=state)
    assert patches == [300_000, 300_000, 300_000, MIB - 900_000]


async def test_a_large_file_is_never_in_memory_as_a_whole(endpoint, tmp_path, state):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    code = (
        "import asyncio, resource, sys; from djust_uploads.client import upload;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "asyncio.run(upload(sys.argv[1], sys.argv[2], resume=False));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, endpoint.url, str(path)), stdout=subprocess.PIPE, cwd=ROOT
    )
    output, _ = await done.communicate()
    assert int(output) < 40_000, "kB"
