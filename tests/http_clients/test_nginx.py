"""The endpoint behind a real nginx, with the configuration that docs/http-clients.md shows."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from djust_uploads.testing.tus import Check, TusServer, checks
from tests.support.endpoints import Endpoint
from tests.support.servers import ROOT, Server, free_port

CONFIGURATION = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def shown_location(port: int) -> str:
    """The location block of the page, for an application at another port."""
    page = (ROOT / "docs" / "http-clients.md").read_text()
    [shown] = re.findall(r"```nginx\n(.*?)```", page, re.S)
    assert "http://127.0.0.1:8000;" in shown
    return shown.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


@contextlib.contextmanager
def nginx(directory: Path, application: int) -> Iterator[Server]:
    port = free_port()
    configuration = directory / "nginx.conf"
    location = shown_location(application)
    configuration.write_text(
        CONFIGURATION.format(directory=directory, port=port, location=location)
    )
    # Debian has it where only root's PATH leads.
    environ = {"PATH": "/usr/sbin:/usr/bin:/bin"}
    # It complains of its compiled-in log before it has read where the log is.
    command = ["nginx", "-e", str(directory / "error.log"), "-c", str(configuration)]
    running = Server(command, port, directory / "nginx", environ, ROOT)
    try:
        running.start()
        yield running
    finally:
        # nginx ends its workers itself.
        running.terminate()


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with nginx(tmp_path_factory.mktemp("nginx"), endpoint.server.port) as running:
        yield running


@pytest.mark.parametrize("check", checks(["core", "creation-with-upload", "checksum"]), ids=str)
def test_the_checklist_of_tus(proxy: Server, endpoint: Endpoint, check: Check):
    with TusServer(proxy.http(endpoint.path)) as server:
        outcome = check.run(server)
    assert outcome.verdict != "failed", outcome.reason


def test_a_large_body_passes_through_without_a_file_of_nginx(
    proxy: Server, endpoint: Endpoint, tmp_path: Path
):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(50_000_000))
    url = proxy.http(f"{endpoint.path}large.bin")
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", str(path), url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "201"
    log = (proxy.uploads.parent / "error.log").read_text()
    assert "buffered to a temporary file" not in log
