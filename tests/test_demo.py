"""``make demo`` goes on when one of its servers is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from tests.support import npm
from tests.support.servers import ROOT, free_ports

SERVERS = {
    "djust": "site_djust",
    "channels": "site_channels",
    "s3": "moto.server",
    "gcs": "gcp-",
    **({"http": "site_http"} if npm.modules() else {}),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    environment = {
        **os.environ,
        "MEDIA_DIRECTORY": str(directory / "media"),
        "STATE_DIRECTORY": str(directory / "state"),
        "UPLOAD_DIRECTORY": str(directory / "uploads"),
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    running = Demo(free_ports(len(SERVERS)), environment)
    try:
        running.wait_for("Ctrl-C ends all of them.")
        yield running
    finally:
        running.process.terminate()
        running.process.communicate(timeout=30)


class Demo:
    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.ports = dict(zip(SERVERS, range(port, port + len(SERVERS)), strict=True))
        self.process = subprocess.Popen(
            [sys.executable, "examples/demo.py", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, line: str) -> None:
        seen = []
        for output in self.process.stdout:
            seen.append(output)
            if output.strip() == line:
                return
        raise AssertionError(f"The demo ended: {''.join(seen)}")

    def servers(self) -> dict[str, psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return {
            name: child
            for name, word in SERVERS.items()
            for child in children
            if word in " ".join(child.cmdline())
        }

    def get(self, name: str, path: str) -> int:
        address = f"http://localhost:{self.ports[name]}{path}"
        with urllib.request.urlopen(address, timeout=10) as response:
            return response.status


@pytest.mark.parametrize(
    ("name", "path"), [("channels", "/gallery/"), ("djust", "/gallery/"), ("s3", "/gallery")]
)
def test_a_server_that_is_killed_is_started_again(demo, name, path):
    before = demo.servers()
    assert set(before) == set(SERVERS)
    before[name].kill()
    demo.wait_for(f"The {name} server is up again.")
    assert demo.get(name, path) == 200
    after = demo.servers()
    assert after.pop(name).pid != before.pop(name).pid
    assert after == before, "the other servers go on"


def test_the_demo_ends_all_its_servers(demo):
    servers = demo.servers().values()
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(20) == 0
    gone_at = time.monotonic() + 2
    while any(server.is_running() for server in servers) and time.monotonic() < gone_at:
        time.sleep(0.05)
    assert [server for server in servers if server.is_running()] == []
