"""Servers that take uploads over HTTP. Some are not Python, so they are measured from outside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support import npm
from tests.support.s3_stores import KEYS
from tests.support.servers import ROOT, Server, command, free_port

from . import contenders
from .contenders import TIMEOUT, Contender
from .http_client import Job
from .measures import Work
from .senders import CONCURRENCY, PART_SIZE


@dataclass(frozen=True)
class HttpSite:
    """A server, as the command that starts it at a port with a directory for its uploads."""

    name: str
    command: Callable[[int, Path], list[str]]
    #: Where uploads are created.
    path: str
    #: Of the process.
    environ: Mapping[str, str]

    @contextlib.contextmanager
    def start(self, directory: Path) -> Iterator[RunningHttpSite]:
        uploads = directory / "uploads"
        uploads.mkdir()
        port = free_port()
        inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        environ = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "UPLOAD_DIRECTORY": str(uploads),
            **self.environ,
        }
        server = Server(self.command(port, uploads), port, uploads, environ, ROOT)
        try:
            server.start()
            yield RunningHttpSite(self, server)
        finally:
            server.terminate()


@dataclass(frozen=True)
class RunningHttpSite:
    site: HttpSite
    server: Server

    def run(self, work: Work) -> dict[str, Any]:
        job = Job(port=self.server.port, size=work.size, path=self.site.path)
        program = [sys.executable, "-m", "benchmarks.http_client", json.dumps(asdict(job))]
        self.server.reset_peak()
        cpu = self.server.cpu_seconds()
        client = subprocess.run(
            program, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=ROOT
        )
        if client.returncode:
            log = self.server.log.read_text()[-3000:]
            raise RuntimeError(f"{self.site.name}: {client.stderr}\n{log}")
        measured = {
            **json.loads(client.stdout),
            "cpu": self.server.cpu_seconds() - cpu,
            "peak": self.server.peak_memory(),
            "memory": self.server.memory(),
            "lag": None,
        }
        # What it still does of the upload is not in the next one's time.
        time.sleep(0.2)
        return measured


def asgi(name: str, module: str, path: str, server: str = "uvicorn", **environ: str) -> Contender:
    application = f"benchmarks.sites.{module}:application"
    return HttpSite(name, lambda port, _: command(server, application, port), path, environ)


def ours(name: str, sink: Mapping[str, Any], server: str = "uvicorn") -> Contender:
    settings = json.dumps({"SINKS": {"default": sink}})
    return asgi(name, "ours_http", "/uploads/", server, DJUST_UPLOADS=settings)


TEMPORARY_FILE = {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"}


def local(_url: str) -> list[Contender]:
    """Those that write into a file of this machine."""
    return [
        asgi("bare ASGI loop", "bare_http", "/"),
        ours("UploadEndpoint", TEMPORARY_FILE),
        ours("UploadEndpoint, hypercorn", TEMPORARY_FILE, "hypercorn"),
        ours("UploadEndpoint, daphne", TEMPORARY_FILE, "daphne"),
        asgi("tuspyserver", "tuspyserver", "/files"),
        *([TUS_SERVER] if npm.modules() else []),
    ]


def s3(url: str) -> list[Contender]:
    """The same sink by the socket and by HTTP; ``url`` is the store's."""
    options = {"endpoint_url": url, "region_name": "us-east-1", "addressing_style": "path", **KEYS}
    sink = {"bucket": "media", "part_size": PART_SIZE, "max_concurrency": CONCURRENCY, **options}
    backend = "djust_uploads.sinks.S3Sink"
    return [
        contenders.ours("S3Sink by the socket", backend, sink),
        ours("S3Sink by HTTP", {"BACKEND": backend, "OPTIONS": sink}),
    ]


TUS_SERVER = HttpSite(
    "@tus/server",
    lambda port, uploads: npm.script("tus_server.mjs", port, uploads, 3_600_000),
    "/files",
    {},
)
