"""``python -m djust_uploads upload``, as somebody at a terminal sees it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from djust_uploads.client.bar import Bar, human
from tests.support.link import Link
from tests.support.servers import ROOT, wait_until

COMMAND = [sys.executable, "-m", "djust_uploads"]


@pytest.fixture
def environ(state):
    return {**os.environ, "XDG_STATE_HOME": str(state.parent), "COLUMNS": "100"}


@pytest.fixture
def run(environ):
    """Run the command to its end."""

    async def run(*arguments):
        return await asyncio.to_thread(
            subprocess.run,
            [*COMMAND, *(str(argument) for argument in arguments)],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(3_000_000))
    return path


async def test_without_a_command_it_explains_itself(run):
    done = await run()
    assert done.returncode == 2
    assert re.search(r"upload +upload a file to a server", done.stdout)


async def test_help_says_what_a_newcomer_must_know(run):
    done = await run("upload", "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert "run the same command again: it goes on where it was" in text
    assert "python -m djust_uploads upload film.mp4 https://example.com/uploads/" in text


async def test_the_url_is_printed_and_nothing_else(run, endpoint, path):
    done = await run("upload", path, endpoint.url)
    assert (done.returncode, done.stderr) == (0, "")
    response = await asyncio.to_thread(httpx.get, done.stdout.strip())
    assert response.content == path.read_bytes()


async def test_headers_and_metadata_go_along(run, endpoint, path):
    options = ["--metadata", "title=A film: part 1", "--header", "X-Token: a:b=c"]
    done = await run("upload", path, endpoint.url, *options, "--chunk-size", "1000000")
    assert done.returncode == 0
    tus = {"Tus-Resumable": "1.0.0"}
    response = await asyncio.to_thread(httpx.head, done.stdout.strip(), headers=tus)
    assert "title QSBmaWxtOiBwYXJ0IDE=" in response.headers["Upload-Metadata"]


async def test_a_header_that_is_none(run, path):
    done = await run("upload", path, "http://localhost:1/", "--header", "Bearer")
    assert done.returncode == 1
    assert done.stderr == "'Bearer' must be a name, ':' and a value.\n"


async def test_a_file_that_is_not_there(run, tmp_path):
    done = await run("upload", tmp_path / "none.bin", "http://localhost:1/")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


async def test_a_url_that_is_no_endpoint(run, path):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request).start()
        done = await run("upload", path, f"http://127.0.0.1:{server.server_port}/")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no upload server at this URL.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_whoever_interrupts_it_is_told_how_to_go_on(run, environ, endpoint, path, number):
    async with Link([endpoint.server.port], rate=1_000_000) as link:
        url = link.http(endpoint.path)
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "upload", str(path), url),
            cwd=ROOT,
            env=environ,
            stderr=subprocess.PIPE,
            # A shell lets what it runs in the background ignore SIGINT: these tests, for example.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert await wait_until(lambda: link.connections, 20)
        await asyncio.sleep(0.5)
        process.send_signal(number)
        _, errors = await process.communicate()
        assert process.returncode == 130
        assert errors.decode() == "Interrupted. Run the same command again to go on.\n"
    done = await run("upload", path, endpoint.url)
    assert done.returncode == 0


async def test_the_bar_on_a_terminal(endpoint, path, environ):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "upload", str(path), endpoint.url), cwd=ROOT, env=environ, stderr=theirs
    )
    await process.wait()
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    assert shown.endswith("\n")
    last = shown.rstrip().split("\r")[-1]
    assert last.startswith(f"film.bin  100% [{'#' * 40}] 3.0 MB of 3.0 MB")


def _read_all(descriptor: int) -> str:
    """Until the terminal's other end is closed, which Linux tells as an error."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 4096):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_tells_how_fast_and_how_long(monkeypatch):
    now = 0.0
    monkeypatch.setattr("djust_uploads.client.bar.time.monotonic", lambda: now)
    monkeypatch.setenv("COLUMNS", "80")
    output = Terminal()
    bar = Bar(output, "/films/film.mp4")
    bar.move(0, 100_000_000)
    now = 10.0
    bar.move(20_000_000, 100_000_000)
    line = output.getvalue().split("\r")[-1].removesuffix("\x1b[K")
    assert line.startswith("film.mp4   20% [##")
    assert line.endswith("] 20.0 MB of 100.0 MB, 2.0 MB/s, 0:40 left")
    assert len(line) < 80


def test_a_note_stands_above_the_bar():
    output = Terminal()
    bar = Bar(output, "film.mp4")
    bar.move(1, 2)
    bar.note("The server failed.")
    assert output.getvalue().endswith("\r\x1b[KThe server failed.\n")


def test_a_log_gets_no_bar():
    output = io.StringIO()
    bar = Bar(output, "film.mp4")
    bar.move(1, 2)
    bar.finish()
    assert output.getvalue() == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**15, "2000.0 TB")],
)
def test_sizes_in_words(size, text):
    assert human(size) == text
