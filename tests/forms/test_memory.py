"""A large file in a form needs little memory, by whichever way it comes."""

from __future__ import annotations

import os

import httpx
import pytest

from tests.forms.test_server import TUS, field_url, hidden
from tests.support.servers import serve

MB = 1_000_000
SIZE = 300 * MB

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("memory") / "uploads"
    with serve("tests.sites.forms:application", uploads) as server:
        yield server


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "big.bin"
    block = os.urandom(MB)
    with path.open("wb") as file:
        for number in range(SIZE // MB):
            file.write(block[number:] + block[:number])
    return path


@pytest.mark.parametrize("way", ["ahead of the POST", "with the POST"])
def test_memory(server, big, way):
    with httpx.Client(base_url=server.http(""), timeout=240) as browser:
        browser.headers["Origin"] = server.http("")
        page = browser.get("/documents/").text
        data = {
            "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken")[0],
            "title": "a",
            "file-slot": hidden(page, "file-slot")[0],
        }
        browser.post("/documents/", data=data, files={"file": ("a.bin", b"warm")})
        idle = server.memory()
        server.reset_peak()
        with big.open("rb") as file:
            files = {"file": ("big.bin", file)}
            if way == "ahead of the POST":
                created = browser.post(
                    field_url(page), headers={**TUS, "Upload-Length": str(SIZE)}, content=b""
                )
                answer = browser.patch(
                    created.headers["location"],
                    headers={**TUS, "Upload-Offset": "0", "Content-Length": str(SIZE)},
                    content=file,
                )
                data["file"] = answer.headers["upload-receipt"]
                files = {"none": ("", b"")}
            answer = browser.post("/documents/", data=data, files=files)
        assert answer.status_code == 302, answer.text
        assert server.peak_memory() - idle < 80 * MB
    assert server.temporary_files() == []
