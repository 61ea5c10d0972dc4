"""The core paths in a second engine: a connection that is lost, and a form that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess

import pytest
import pytest_asyncio

from tests.browser.chromium import sha256
from tests.support import npm
from tests.support.link import Link
from tests.support.matrix import again
from tests.support.servers import ROOT, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1_000_000
SIZE = 30 * MB


def firefox() -> str:
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if not path:
        raise RuntimeError("No Firefox: run 'make firefox', or 'apt-get install firefox-esr'.")
    return path


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["channels", again("djust")])
async def link(request, tmp_path_factory):
    """A network to the example project of a host."""
    directory = tmp_path_factory.mktemp(request.param)
    with serve(
        f"site_{request.param}.asgi:application",
        directory / "uploads",
        cwd=ROOT / "examples" / f"{request.param}_site",
        MEDIA_DIRECTORY=str(directory / "media"),
        STATE_DIRECTORY=str(directory / "state"),
    ) as server:
        async with Link([server.port], rate=20 * MB) as link:
            yield link


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "movie.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


async def in_firefox(script, url, file):
    """Return what a script of tests/npm prints of this page and this file."""
    process = await asyncio.create_subprocess_exec(
        *npm.script(script, firefox(), url, file), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def test_a_file_arrives_though_the_connection_is_lost(link, movie):
    # The page itself comes over the network, too; this is somewhere in the file.
    link.reset_after(SIZE // 2)
    told = await in_firefox("firefox_page.mjs", f"http://127.0.0.1:{link.port}/files/", movie)
    assert told["sha256"] == sha256(movie)
    # Firefox itself reports the connection that we cut.
    assert [error for error in told["errors"] if "was interrupted" not in error] == []
    assert told["sent"]["blobs"] > 0, "the browser reads the file itself"


async def test_a_form_that_comes_back_has_its_file(tmp_path, movie):
    uploads = tmp_path / "uploads"
    with serve("tests.sites.forms:application", uploads) as server:
        told = await in_firefox("firefox_form.mjs", server.http("/documents/"), movie)
    assert told["errors"] == []
    assert "This field is required." in told["returned"]
    assert movie.name in told["returned"]
    assert told["sent"] > 0, "the file went ahead of the form"
    assert told["sentAgain"] == 0
    pk = int(re.search(r"/documents/(\d+)/", told["url"])[1])
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3")) as db:
        [name] = db.execute("select file from tests_document where id = ?", [pk]).fetchone()
    assert sha256(tmp_path / "media" / name) == sha256(movie)
