"""Caches that several processes share, to resume with: Redis, and a table in SQLite."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import ROOT, free_port

#: Where there is no Redis, the tests make do with the database.
KINDS = ["redis", "database"] if shutil.which("redis-server") else ["database"]


def running(kind: str, directory: Path) -> contextlib.AbstractContextManager[dict[str, str]]:
    """One of ``KINDS``: what the environment of ``tests.sites.resume`` must have to use it."""
    return redis() if kind == "redis" else database(directory)


@contextlib.contextmanager
def redis() -> Iterator[dict[str, str]]:
    with contextlib.closing(Redis()) as server:
        yield server.environ


class Redis:
    """A running Redis, which keeps its data in a directory, or only in memory.

    After :meth:`kill`, :meth:`start` runs it again at the same port.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.port = free_port()
        self._command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--save", ""]
        if directory:
            self._command += ["--dir", str(directory), "--appendonly", "yes"]
            self._command += ["--appendfsync", "always"]
        self.start()

    @property
    def environ(self) -> dict[str, str]:
        location = f"redis://127.0.0.1:{self.port}"
        backend = "django.core.cache.backends.redis.RedisCache"
        return {"CACHE": json.dumps({"BACKEND": backend, "LOCATION": location})}

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        _wait_until_up(self._process, self.port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    close = kill

    def flush(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(5) == b"+OK\r\n"


def _wait_until_up(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(500):
        if process.poll() is not None:
            raise RuntimeError("redis-server ended")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("redis-server is not up")


@contextlib.contextmanager
def database(directory: Path) -> Iterator[dict[str, str]]:
    backend = "django.core.cache.backends.db.DatabaseCache"
    environ = {
        "DATABASE": str(directory / "cache.sqlite3"),
        "CACHE": json.dumps({"BACKEND": backend, "LOCATION": "uploads"}),
    }
    subprocess.run(
        [sys.executable, "-m", "django", "createcachetable", "--settings=tests.resume_settings"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **environ},
        check=True,
    )
    yield environ
