"""What tests/npm.sh installs: a tus server and clients of other authors."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import ROOT, Server, free_port


def modules() -> Path | None:
    """Return the node_modules directory; ``None`` where npm's packages are not to be had."""
    prefix = Path(sys.prefix) / "npm"
    return prefix / "node_modules" if (prefix / "installed.json").exists() else None


def script(name: str, *arguments: str | int | Path) -> list[str]:
    """Return the command for a script of tests/npm. Its first argument is node_modules."""
    node = shutil.which("node")
    assert node
    path = ROOT / "tests" / "npm" / name
    return [node, str(path), str(modules()), *(str(argument) for argument in arguments)]


@contextlib.contextmanager
def tus_server(directory: Path, *, expiration: float = 3600) -> Iterator[Server]:
    """Run @tus/server with its file store until the end of the block; uploads are created at
    ``/files``, and expire after ``expiration`` seconds."""
    uploads = directory / "files"
    uploads.mkdir(parents=True)
    port = free_port()
    command = script("tus_server.mjs", port, uploads, int(expiration * 1000))
    running = Server(command, port, uploads, dict(os.environ), ROOT)
    try:
        running.start()
        yield running
    finally:
        running.terminate()
