"""Starts the stores to which the contenders send. They use TLS, as real stores do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.s3_stores import Store, make_certificate
from tests.support.servers import ROOT, free_port


@contextlib.contextmanager
def discarding(directory: Path) -> Iterator[str]:
    """Run ``benchmarks.discarding_store``, and yield its URL."""
    certificate, key = make_certificate(directory)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.discarding_store"]
    with _running([*command, str(port), str(certificate), str(key)], port):
        url = f"https://127.0.0.1:{port}"
        with environment(_trusted(certificate) | {"STORAGE_EMULATOR_HOST": url}):
            yield url


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[str]:
    """Run moto's server with an empty bucket ``media``, and yield its URL."""
    certificate, key = make_certificate(directory)
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1"]
    options = ["-p", str(port), "-c", str(certificate), "-k", str(key)]
    url = f"https://127.0.0.1:{port}"
    with _running([*command, *options], port), environment(_trusted(certificate)):
        Store("moto", url, str(certificate)).client().create_bucket(Bucket="media")
        yield url


def _trusted(certificate: Path) -> dict[str, str]:
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return dict.fromkeys(names, str(certificate))


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started within the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_up(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args} is not up")
