"""A virus is refused by every door, before every sink, and nothing of it is left."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support import resuming
from tests.support.clamd import EICAR
from tests.support.http import Client
from tests.support.s3_stores import empty
from tests.support.servers import serve, wait_until

MEDIA = {"BACKEND": "djust_uploads.sinks.StorageSink", "OPTIONS": {"storage": "default"}}


@pytest.fixture(scope="module")
def site(running_clamd, seaweedfs_store, gcs_proxy, tmp_path_factory):
    empty(seaweedfs_store)
    gcs_proxy.empty()
    gcs_proxy.reset()
    directory = tmp_path_factory.mktemp("scanned")
    s3, gcs = resuming.s3(seaweedfs_store), resuming.gcs(gcs_proxy)
    certificate = {"root_certificate": Path(seaweedfs_store.ca_bundle).read_text()}
    objects = {"url": "s3://media", "client_options": certificate, **seaweedfs_store.options}
    sinks = {
        "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
        "memory": {"BACKEND": "djust_uploads.sinks.MemorySink"},
        "storage": MEDIA,
        "s3": {"BACKEND": "djust_uploads.sinks.S3Sink", "OPTIONS": s3.options},
        "gcs": {"BACKEND": "djust_uploads.sinks.GCSSink", "OPTIONS": gcs.options},
        "objects": {"BACKEND": "djust_uploads.sinks.ObjectStoreSink", "OPTIONS": objects},
    }
    environ = {
        **s3.environ,
        **gcs.environ,
        "SINKS": json.dumps(sinks),
        "CLAMD": running_clamd.path,
        "URLCONF": "tests.sites.scanned",
        "MEDIA_DIRECTORY": str(directory / "media"),
    }
    with serve("tests.sites.scanned:application", directory / "uploads", **environ) as server:
        server.media = directory / "media"
        yield server


async def by_socket(site, alias, data):
    """Return the code of the refusal, or an empty string."""
    async with UploadClient(site.ws("/ws/")) as page:
        await page.mounted()
        ref = await page.register(alias, "notes.txt", len(data))
        await page.send_chunks(ref, data)
        try:
            await page.complete(ref)
        except UploadFailed as failed:
            return failed.code
        return ""


async def by_http(site, alias, data):
    async with Client(site) as client:
        answer = await client.upload(data, alias)
        return "" if answer.is_success else answer.json()["code"]


async def by_form(site, alias, data):
    async with httpx.AsyncClient() as client:
        files = {"file": ("notes.txt", data, "text/plain")}
        answer = (await client.post(site.http(f"/form/{alias}/"), files=files)).json()
        return "" if answer["valid"] else " ".join(answer["errors"])


SENTENCE = "The file contains a virus or other malicious software, and was deleted."

DOORS = {"socket": by_socket, "HTTP": by_http, "form": by_form}


@pytest.mark.parametrize("alias", ["default", "memory", "storage", "s3", "gcs", "objects"])
@pytest.mark.parametrize("door", DOORS)
async def test_eicar(site, seaweedfs_store, gcs_proxy, door, alias):
    send = DOORS[door]
    infected = (
        "The file contains a virus or other malicious software, and was deleted."
        if door == "form"
        else "infected"
    )

    def stored():
        files = [path for path in site.media.rglob("*") if path.is_file()]
        objects = [*seaweedfs_store.object_keys(), *seaweedfs_store.uploads(), *gcs_proxy.keys()]
        return {*site.temporary_files(), *files, *objects}

    # What was stored before waits to be consumed, or is about to be deleted.
    before = stored()
    for data in (EICAR, b"\n" * 20 + EICAR):
        assert await send(site, alias, data) == infected
    assert await wait_until(lambda: stored() <= before, 5)
    assert await send(site, alias, b"nothing to see here\n") == ""
