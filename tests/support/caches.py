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
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_until_up(process, port)
        backend = "django.core.cache.backends.redis.RedisCache"
        yield {"CACHE": json.dumps({"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}"})}
    finally:
        process.kill()
        process.wait()


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
