"""Steps of the tests of sinks that store objects in a bucket, and a site that uses such a sink."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from djust_uploads import UploadInfo
from djust_uploads.sinks import ObjectStoreSink, S3Sink
from djust_uploads.sinks.object_store import client as object_store_client
from djust_uploads.sinks.s3 import clients as s3_clients
from djust_uploads.testing import UploadClient
from tests.support.servers import serve

MIB = 1024 * 1024

#: Bytes of a file that fits in one request, and of the smallest part that S3 takes.
SMALL, PART = 1000, 5 * MIB

#: As an age for ``sweep()``: whatever is stored by now. Stores tell times in whole seconds.
ANY_AGE = datetime.timedelta(seconds=-2)

#: The folder of the marks of ObjectStoreSink.
MARKS = "unconsumed-uploads"


def info(size, name="cat.jpg", content_type="image/jpeg"):
    return UploadInfo("photos", name, name.replace(" ", "_"), "", content_type, size)


async def write(writer, data, chunk_size=64 * 1024):
    for start in range(0, len(data), chunk_size):
        before = writer.offset
        await writer.write(data[start : start + chunk_size])
        assert before <= writer.offset


async def upload(sink, data, **kwargs):
    writer = await sink.open(info(len(data), **kwargs))
    await write(writer, data)
    return await writer.finish()


async def eventually(holds):
    """Wait for what happens in another process."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 (no event crosses processes)
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """A request is repeated at once. A conftest imports this."""
    monkeypatch.setattr(object_store_client, "PAUSE", 0.001)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


class Kind:
    """A sink that can store objects in S3: how it is created, and how its objects look."""

    name: str
    #: The module that creates the SDK's client; its ``ATTEMPTS`` says how often a request is sent.
    client: Any
    #: The option that names the bucket, and the same for a bucket that does not exist.
    bucket: dict[str, Any]
    no_bucket: dict[str, Any]
    #: Options with which it costs no request to mark an object as unconsumed.
    unmarked: dict[str, Any] = {}
    #: Options that give every object a ``Cache-Control`` and metadata.
    described: dict[str, Any]
    #: Whether ``finish()`` looks up a key that ``upload_to`` chose before it sends a small file.
    looks_up: bool
    #: How many bytes ``write()`` takes at most before it tells of an error of the first request.
    told_after: int
    #: How many parts the sink and its SDK may hold beside those that are on their way.
    parts_held: int

    def options_for(self, store):
        raise NotImplementedError

    def make(self, store, **options):
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def sink(self, store, **options):
        sink = self.make(store, **options)
        try:
            yield sink
        finally:
            await sink.aclose()

    def setting(self, **options):
        """Return ``DJUST_UPLOADS`` with this sink as ``media``."""
        backend = f"djust_uploads.sinks.{self.name}"
        return {"SINKS": {"media": {"BACKEND": backend, "OPTIONS": options}}}

    def objects(self, store):
        """Return the keys of the objects that are not marks."""
        raise NotImplementedError

    def unconsumed(self, store):
        """Return the keys of the objects that nobody has consumed."""
        raise NotImplementedError


class S3Kind(Kind):
    name = "S3Sink"
    client = s3_clients
    bucket, no_bucket = {"bucket": "media"}, {"bucket": "nowhere"}
    described = {"extra_args": {"CacheControl": "max-age=60", "Metadata": {"from": "tests"}}}
    looks_up, told_after, parts_held = True, PART, 3

    def options_for(self, store):
        return {**self.bucket, "part_size": PART, **store.options}

    def make(self, store, **options):
        return S3Sink(**{**self.options_for(store), **options})

    def objects(self, store):
        return store.object_keys()

    def unconsumed(self, store):
        tags = {key: store.tags(key) for key in store.object_keys()}
        assert all(found in ({}, {"djust-upload": "unconsumed"}) for found in tags.values())
        return [key for key, found in tags.items() if found]


class ObjectStoreKind(Kind):
    name = "ObjectStoreSink"
    client = object_store_client
    bucket, no_bucket = {"url": "s3://media"}, {"url": "s3://nowhere"}
    unmarked = {"marks": None}
    described = {"cache_control": "max-age=60", "metadata": {"from": "tests"}}
    looks_up, told_after, parts_held = False, 3 * PART, 0

    def options_for(self, store):
        options = {**self.bucket, "part_size": PART, **store.options}
        if ca_bundle := getattr(store, "ca_bundle", None):
            options["client_options"] = {"root_certificate": Path(ca_bundle).read_text()}
        return options

    def make(self, store, **options):
        return ObjectStoreSink(**{**self.options_for(store), **options})

    def objects(self, store):
        return [key for key in store.object_keys() if not key.startswith(f"{MARKS}/")]

    def unconsumed(self, store):
        """A mark has the random part of the key that it points to in its name."""
        marks = set(store.object_keys()) - set(self.objects(store))
        parts = [mark.removeprefix(f"{MARKS}/") for mark in marks]
        return [key for key in self.objects(store) if any(part in key for part in parts)]


S3, OBJECT_STORE = S3Kind(), ObjectStoreKind()


# A site


@contextlib.asynccontextmanager
async def site(directory, backend, options, **environ):
    """A site in a process of its own whose uploads go to that sink."""
    environ["SINK"] = json.dumps({"BACKEND": f"djust_uploads.sinks.{backend}", "OPTIONS": options})
    server = serve("tests.sites.bucket:application", directory / "uploads", **environ)
    running = await asyncio.to_thread(server.__enter__)
    try:
        yield running
    finally:
        # In a thread: to end well, the site may need a proxy that runs on this loop.
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def page_of(server):
    async with UploadClient(server.ws("/ws/")) as page:
        await page.mounted()
        yield page


async def consumed(page, event="report"):
    """Have the site consume the upload, and return what it says of the file."""
    await page.event(event)
    message = await page.wait_for(type="push_event", event="consumed")
    page.messages.remove(message)
    return message["payload"]
