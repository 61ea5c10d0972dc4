"""Servers that share a cache and a store, and the pages of one visitor, wherever they connect."""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.sessions.backends.signed_cookies import SessionStore

from djust_uploads.testing import UploadClient
from tests.support.servers import Server, serve, wait_until

KIB, MIB = 1024, 1024 * 1024


@dataclass
class Destination:
    """A sink for ``tests.sites.resume``, whose slots are called after ``alias``."""

    alias: str
    backend: str
    options: dict[str, Any]
    #: The keys of its finished objects, where it has any.
    keys: Callable[[], list[str]]

    @property
    def keeps_files(self) -> bool:
        return self.alias != "default"

    def slot(self, chunk_size: int = 64 * KIB) -> str:
        return f"{self.alias}-{chunk_size}"

    @property
    def environ(self) -> dict[str, str]:
        sinks = {
            self.alias: {
                "BACKEND": f"tests.support.crashing.{self.backend}",
                "OPTIONS": self.options,
            }
        }
        environ = {"SINKS": json.dumps(sinks)}
        if "api_endpoint" in self.options:
            environ["STORAGE_EMULATOR_HOST"] = self.options["api_endpoint"]
        return environ


TEMPORARY = Destination("default", "TemporaryFileSink", {}, list)


def s3(store: Any) -> Destination:
    """In a store of ``tests.support.s3_stores``."""
    options = {"bucket": "media", "part_size": 5 * MIB, **store.options}
    return Destination("s3", "S3Sink", options, store.object_keys)


def gcs(store: Any) -> Destination:
    """In a store of ``tests.support.gcs_stores``."""
    options = {"bucket": "media", "chunk_size": 256 * KIB, "api_endpoint": store.url}
    return Destination("gcs", "GCSSink", options, store.keys)


@contextlib.contextmanager
def resume_site(
    directory: Path,
    cache: Mapping[str, str],
    destination: Destination = TEMPORARY,
    **options: str,
) -> Iterator[Server]:
    """``tests.sites.resume``. Called again with the same arguments: another process of it."""
    environ = {**destination.environ, **cache, **options}
    with serve("tests.sites.resume:application", directory / "uploads", **environ) as server:
        yield server


def new_session() -> dict[str, str]:
    """The cookies of a visitor."""
    session = SessionStore()
    session["visitor"] = str(uuid.uuid4())
    session.save()
    return {"sessionid": session.session_key}


@contextlib.asynccontextmanager
async def pages_of_one(*urls: str) -> AsyncIterator[list[UploadClient]]:
    """A page at each address, all of one visitor."""
    cookies = new_session()
    async with contextlib.AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(UploadClient(url, cookies=cookies)) for url in urls
        ]
        for page in pages:
            await page.mounted()
        yield pages


async def all_handled(page: UploadClient) -> None:
    """Return when the server has received everything that was sent so far."""
    await page.event("ping")


async def consumed(page: UploadClient, slot: str) -> dict[str, dict[str, Any]]:
    """What the application gets from ``slot`` now, by ref; returns when it has let go of it."""
    before = len(page.messages)
    await page.event("report", slot=slot)
    events = [m["payload"] for m in page.messages[before:] if m.get("event") == "consumed"]
    got = {event["ref"]: event for event in events}
    # Temporary files are deleted after the handler; then the page is told.
    assert await wait_until(lambda: all(map(page.consumed, got)), 10)
    return got


async def arrived(page: UploadClient, slot: str) -> dict[str, str]:
    """The SHA-256 of the files that :func:`consumed` gets, by ref."""
    return {ref: entry["sha256"] for ref, entry in (await consumed(page, slot)).items()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def completions(site: Server) -> list[str]:
    """The refs of uploads that completed, in the order in which they did."""
    path = site.uploads.parent / "completions"
    return path.read_text().split() if path.exists() else []
