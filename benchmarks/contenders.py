"""The contenders: applications on a server, and SDKs that send a file.

Each contender has a process of its own, which runs during all rounds. While another contender has
its turn, the process does nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.support.s3_stores import KEYS
from tests.support.servers import ROOT, Server, serve

from .client import Job
from .measures import MB, Work
from .senders import CONCURRENCY, PART_SIZE

#: The most seconds for one run. To send 10 GB, the slowest contender needs two minutes.
TIMEOUT = 600


class Running(Protocol):
    """A contender whose process runs."""

    def run(self, work: Work) -> dict[str, Any]:
        """Do the work once, and return the values of a :class:`.measures.Measure`."""


class Contender(Protocol):
    name: str

    def start(self, directory: Path) -> contextlib.AbstractContextManager[Running]:
        """Start the process. ``directory`` is for this contender only."""


# Applications on a server


@dataclass(frozen=True)
class Site:
    """An application in ``benchmarks.sites``, and the client that uploads to it."""

    name: str
    module: str
    environ: Mapping[str, str] = field(default_factory=dict)
    hello: Mapping[str, Any] | None = None
    server: str = "uvicorn"

    @contextlib.contextmanager
    def start(self, directory: Path) -> Iterator[RunningSite]:
        application = f"benchmarks.sites.{self.module}:application"
        temporary = directory / "tmp"
        temporary.mkdir()
        environ = {"TMPDIR": str(temporary), **self.environ}
        uploads = directory / "uploads"
        with serve(application, uploads, server=self.server, **environ) as server:
            yield RunningSite(self, server)


@dataclass(frozen=True)
class RunningSite:
    site: Site
    server: Server

    def run(self, work: Work) -> dict[str, Any]:
        job = Job(
            port=self.server.port,
            size=work.size,
            chunk_size=work.chunk_size,
            uploads=work.uploads,
            slot=str(work.chunk_size),
            hello=dict(self.site.hello) if self.site.hello else None,
        )
        command = [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(job))]
        client = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=ROOT
        )
        if client.returncode:
            log = self.server.log.read_text()[-3000:]
            raise RuntimeError(f"the client of {self.site.name} failed: {client.stderr}\n{log}")
        self._settle()
        return json.loads(client.stdout)

    def _settle(self) -> None:
        """Wait until the server has deleted its files, so that the next run is not disturbed."""
        for _ in range(3000):
            if not self.server.temporary_files():
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.site.name} does not delete {self.server.temporary_files()}")


# SDKs


@dataclass(frozen=True)
class Sender:
    """An SDK in ``benchmarks.senders`` that sends a file."""

    name: str
    function: str
    options: Mapping[str, Any]

    @contextlib.contextmanager
    def start(self, directory: Path) -> Iterator[RunningSender]:
        command = [sys.executable, "-m", "benchmarks.senders", self.function]
        process = subprocess.Popen(
            [*command, json.dumps(self.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            yield RunningSender(self, process, directory)
        finally:
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class RunningSender:
    sender: Sender
    process: subprocess.Popen[str]
    directory: Path

    def run(self, work: Work) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{self._file(work.size)}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.sender.name} ended")
        return json.loads(line)

    def _file(self, size: int) -> Path:
        """Return a file of ``size`` bytes. It stays, so all rounds read it from the page cache."""
        path = self.directory / f"{size}.bin"
        if not path.exists():
            with path.open("wb") as file:
                block = os.urandom(MB)
                for start in range(0, size, MB):
                    file.write(block[: size - start])
        return path


# The lists


def ours(name: str, backend: str, options: Mapping[str, Any] | None = None, **more: Any) -> Site:
    """Return our consumer with one sink. ``more`` are other keys of ``DJUST_UPLOADS``."""
    sink = {"BACKEND": backend, "OPTIONS": dict(options or {})}
    settings = {"SINKS": {"default": sink}, **more}
    return Site(name, "ours", {"DJUST_UPLOADS": json.dumps(settings)})


BARE = Site("bare receive loop", "bare")
STOCK_DJUST = Site(
    "djust.uploads",
    "stock_djust",
    hello={"type": "mount", "view": "benchmarks.sites.stock_djust.Files", "params": {}, "url": "/"},
)
TEMPORARY = ours("temporary file", "djust_uploads.sinks.TemporaryFileSink")

LOCAL = [
    BARE,
    Site("stock Channels consumer", "stock_channels"),
    STOCK_DJUST,
    ours("discarding sink", "benchmarks.discard.DiscardSink"),
    ours("memory", "djust_uploads.sinks.MemorySink"),
    TEMPORARY,
    ours("temporary file, SHA256", "djust_uploads.sinks.TemporaryFileSink", SHA256=True),
    ours(
        "temporary file, metrics",
        "djust_uploads.sinks.TemporaryFileSink",
        OBSERVERS=["djust_uploads.observability.PrometheusMetrics"],
    ),
]


def s3(url: str) -> list[Contender]:
    """Return the contenders that send to an S3 store at ``url``."""
    options = {"endpoint_url": url, "region_name": "us-east-1", **KEYS}
    sink = {"bucket": "media", "part_size": PART_SIZE, "max_concurrency": CONCURRENCY, **options}
    return [
        Sender("aioboto3", "aioboto3", options),
        Sender("boto3", "boto3", options),
        ours("S3Sink", "djust_uploads.sinks.S3Sink", {"addressing_style": "path", **sink}),
        object_store("s3://media", {"addressing_style": "path", **options}),
    ]


def object_store(url: str, options: Mapping[str, Any]) -> Site:
    # obstore does not look for the store's certificate in the environment.
    certificate = {"root_certificate": Path(os.environ["SSL_CERT_FILE"]).read_text()}
    parts = {"part_size": PART_SIZE, "max_concurrency": CONCURRENCY}
    options = {"url": url, "client_options": certificate, **parts, **options}
    return ours("ObjectStoreSink", "djust_uploads.sinks.ObjectStoreSink", options)


def gcs(url: str) -> list[Contender]:
    sink = {"bucket": "media", "chunk_size": PART_SIZE}
    return [
        Sender("blob.upload_from_file", "gcs", {"api_endpoint": url}),
        ours("GCSSink", "djust_uploads.sinks.GCSSink", sink),
        object_store("gs://media", {"endpoint_url": url, "config": {"bearer_token": "any"}}),
    ]
