"""A large file in a form needs little memory, by whichever way it comes."""

from __future__ import annotations

import hashlib
import json
import os

import httpx
import pytest

from tests.forms.test_server import TUS, field_url, hidden
from tests.support import resuming
from tests.support.servers import serve

MB = 1_000_000
SIZE = 300 * MB


@pytest.fixture(scope="module", params=["a temporary file", "S3"])
def server(request, tmp_path_factory):
    uploads = tmp_path_factory.mktemp("memory") / "uploads"
    environ = {}
    if request.param == "S3":
        destination = resuming.s3(request.getfixturevalue("seaweedfs_store"))
        sink = {"BACKEND": "djust_uploads.sinks.S3Sink", "OPTIONS": destination.options}
        environ = {**destination.environ, "SINKS": json.dumps({"default": sink})}
    with serve("tests.sites.forms:application", uploads, **environ) as server:
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
        page = browser.get("/films/").text
        data = {
            "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken")[0],
            "film-slot": hidden(page, "film-slot")[0],
        }
        browser.post("/films/", data=data, files={"film": ("a.bin", b"warm")})
        idle = server.memory()
        server.reset_peak()
        with big.open("rb") as file:
            files = {"film": ("big.bin", file)}
            if way == "ahead of the POST":
                created = browser.post(
                    field_url(page), headers={**TUS, "Upload-Length": str(SIZE)}, content=b""
                )
                answer = browser.patch(
                    created.headers["location"],
                    headers={**TUS, "Upload-Offset": "0", "Content-Length": str(SIZE)},
                    content=file,
                )
                data["film"] = answer.headers["upload-receipt"]
                files = {"none": ("", b"")}
            answer = browser.post("/films/", data=data, files=files)
        assert answer.headers["content-type"] == "application/json", answer.text
        with big.open("rb") as file:
            assert answer.json()["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
        assert server.peak_memory() - idle < 80 * MB
