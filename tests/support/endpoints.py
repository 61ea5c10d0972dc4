"""Servers that take uploads over HTTP, for the clients that are tested against them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import npm
from tests.support.servers import Server, serve


@dataclass(frozen=True)
class Endpoint:
    """A running server that speaks tus."""

    server: Server
    #: Where uploads are created.
    path: str

    @property
    def url(self) -> str:
        return self.server.http(self.path)


@contextlib.contextmanager
def ours(directory: Path, server: str = "uvicorn", **settings: Any) -> Iterator[Endpoint]:
    """``tests.sites.http`` with its temporary files; ``settings`` are ``DJUST_UPLOADS``.

    Its uploads go on when it was restarted, because its cache is in files.
    """
    cache = {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(directory / "cache"),
    }
    environ = {"CACHE": json.dumps(cache), "UPLOAD_SETTINGS": json.dumps(settings)}
    uploads = directory / "uploads"
    with serve("tests.sites.http:application", uploads, server=server, **environ) as running:
        yield Endpoint(running, "/uploads/default/")


@contextlib.contextmanager
def another_author_s(directory: Path) -> Iterator[Endpoint]:
    """@tus/server with its file store."""
    with npm.tus_server(directory) as running:
        yield Endpoint(running, "/files")
