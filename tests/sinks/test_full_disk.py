"""A real file system without room, and a real server: one upload fails, and the others don't."""

from __future__ import annotations

import json
import os
import re
import time

import httpx
import pytest

from djust_uploads.exceptions import SinkFull
from djust_uploads.testing import UploadClient, UploadFailed
from tests.forms.test_server import hidden, post
from tests.support.disks import Disk, small_disk
from tests.support.http import Client
from tests.support.resuming import MIB, arrived, sha256
from tests.support.servers import serve, wait_until

#: More than a writer gathers in memory, so that a part of the large file is on the disk when there
#: is no room for the rest.
SIZE = 6 * MIB
LARGE = bytes(2 * SIZE)

#: They fit, one beside the other.
SMALL, OTHER = os.urandom(700_000), os.urandom(800_000)

SINKS = {
    "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
    "storage": {"BACKEND": "djust_uploads.sinks.StorageSink"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """``tests.sites.http``, whose temporary files and whose media are on a small disk."""
    uploads = tmp_path_factory.mktemp("full") / "uploads"
    environ = {
        "URLCONF": "tests.sites.http",
        "SINKS": json.dumps(SINKS),
        "MEDIA_DIRECTORY": str(uploads / "media"),
    }
    within = small_disk(uploads, SIZE)
    with serve("tests.sites.http:application", uploads, within=within, **environ) as site:
        yield site


@pytest.fixture
async def disk(site):
    disk = Disk(site)
    free = disk.free
    yield disk
    # What is stored belongs to the application. Everything else is gone by itself.
    stored = [path for path in disk.files if "media" in path.parts]
    assert sorted(disk.files) == sorted(stored)
    disk.empty()
    assert disk.free == free


@pytest.mark.parametrize("sink", SINKS)
async def test_socket(site, disk, sink):
    async with UploadClient(site.ws("/ws/")) as page:
        await page.mounted()
        whole = await page.upload(sink, "whole.bin", SMALL)
        half = await page.register(sink, "half.bin", len(OTHER))
        await page.send_chunks(half, OTHER, until=100_000)
        before = disk.free
        large = await page.register(sink, "large.bin", len(LARGE))
        with pytest.raises(UploadFailed) as failed:
            await page.send_chunks(large, LARGE)
            await page.ended(large)
        assert (failed.value.code, failed.value.message) == ("storage_full", SinkFull.message)
        assert await wait_until(lambda: before - disk.free <= len(OTHER), 5)
        await page.send_chunks(half, OTHER)
        await page.complete(half)
        assert await arrived(page, sink) == {whole: sha256(SMALL), half: sha256(OTHER)}
        assert len(page.endings(large)) == 1
        if sink == "storage":
            assert sum(path.stat().st_size for path in disk.files) == len(SMALL + OTHER)


@pytest.mark.parametrize("sink", SINKS)
async def test_http(site, disk, sink):
    async with Client(site) as client:
        before = disk.free
        half = await client.create(len(OTHER), sink)
        assert (await client.patch(half, 0, OTHER[:100_000])).status_code == 204
        large = await client.create(len(LARGE), sink)
        answer = await client.patch(large, 0, LARGE)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert answer.json()["title"] == SinkFull.message
        assert before - disk.free <= len(OTHER)
        assert (await client.head(large)).status_code in (404, 410)
        answer = await client.patch(half, 100_000, OTHER[100_000:])
        assert answer.status_code == 204
        assert await client.content(half) == OTHER
        params = {"receipt": answer.headers["upload-receipt"], "slot": sink}
        consumed = await client.http.get("/consume/", params=params)
        assert consumed.json()["sha256"] == sha256(OTHER)
        assert await wait_until(lambda: sink == "storage" or disk.free == before, 5)


@pytest.mark.parametrize("size", [len(LARGE), SIZE * 2 // 3], ids=["to-the-server", "to-the-sink"])
def test_form_without_javascript(form_site, size):
    """The form comes back with the sentence, and with a smaller file it is saved."""
    disk = Disk(form_site)
    with httpx.Client(base_url=form_site.http(""), timeout=60) as browser:
        browser.headers["Origin"] = form_site.http("")
        slot = hidden(browser.get("/documents/").text, "file-slot")
        data = {"title": "a", "file-slot": slot}
        before = disk.free
        answer = post(browser, "/documents/", data, {"file": ("large.bin", bytes(size))})
        assert answer.status_code == 200
        assert str(SinkFull.message) in answer.text
        assert eventually(lambda: disk.free == before)
        answer = post(browser, "/documents/", data, {"file": ("small.bin", SMALL)})
        assert answer.status_code == 302
        page = browser.get(str(answer.url.join(answer.headers["location"]))).text
        [name] = re.findall(r'href="/media/([^"]+)"', page)
        assert browser.get(f"/media/{name}").content == SMALL
        assert eventually(lambda: disk.free == before)


def eventually(condition):
    """Whether it comes true within two seconds: Django closes files behind the answer."""
    return any(condition() or time.sleep(0.02) for _ in range(100))


@pytest.fixture(scope="module")
def form_site(tmp_path_factory):
    """``tests.sites.forms``. Its media are elsewhere."""
    uploads = tmp_path_factory.mktemp("form") / "uploads"
    within = small_disk(uploads, SIZE)
    with serve("tests.sites.forms:application", uploads, within=within) as site:
        yield site
