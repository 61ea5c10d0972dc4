"""From Chromium into real stores, in the sizes at which they change their ways."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.request

import pytest

from tests.browser.chromium import open_page, rows, sha256, until
from tests.support.gcs_stores import emulator
from tests.support.servers import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
SIZES = [0, 1, 5 * MIB - 1, 5 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 64 * MIB + 3]


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """A file of each size; the text ones so that their type is not only "bytes"."""
    directory = tmp_path_factory.mktemp("sized")
    paths = []
    for size in SIZES:
        path = directory / f"{size}.txt"
        line = b"%08d\n" % size
        path.write_bytes(line * (size // 9) + b"x" * (size % 9))
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def stores(moto_store, seaweedfs_store):
    return {"moto": moto_store, "seaweedfs": seaweedfs_store}


@pytest.fixture(scope="module")
def gcs_proxy():
    with emulator() as store:
        yield store


@pytest.fixture(scope="module")
def site(stores, gcs_proxy, tmp_path_factory):
    sinks = {
        name: {
            "BACKEND": "djust_uploads.sinks.S3Sink",
            "OPTIONS": {
                "bucket": "media",
                "upload_to": "kept/",
                "addressing_style": "path",
                **store.options,
            },
        }
        for name, store in stores.items()
    }
    sinks["gcs"] = {
        "BACKEND": "djust_uploads.sinks.GCSSink",
        # Public, because without credentials nothing can be signed.
        "OPTIONS": {"bucket": "media", "upload_to": "kept/", "predefined_acl": "publicRead"},
    }
    directory = tmp_path_factory.mktemp("stores")
    with serve(
        "tests.sites.stores:application",
        directory / "uploads",
        SINKS=json.dumps(sinks),
        STORAGE_EMULATOR_HOST=gcs_proxy.url,
    ) as server:
        yield server


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        return response.read()


async def consumed_from(browser, site, sized, name):
    """What the application got when all files went into a sink: its reports by file name."""
    page = await open_page(browser, site.http("/"))
    await page.wait_for_selector(f"[dj-upload={name}][multiple]")
    await page.evaluate(
        """() => {
          window.consumed = [];
          addEventListener("djust:push_event", ({detail}) => consumed.push(detail.payload));
        }"""
    )
    await page.set_input_files(f"[dj-upload={name}]", [str(path) for path in sized])
    await rows(page, "complete", len(sized))
    await page.evaluate("slot => djust.sendEvent('report', {slot})", name)
    consumed = await page.evaluate("consumed")
    assert page.complaints == []
    await page.context.close()
    return {entry["client_name"]: entry for entry in consumed}


@pytest.mark.parametrize("name", ["moto", "seaweedfs"])
async def test_every_size_arrives_in_the_bucket(browser, site, stores, sized, name):
    consumed = await consumed_from(browser, site, sized, name)
    client = stores[name].client()
    for path in sized:
        entry = consumed[path.name]
        assert entry["sha256"] == entry["sha256_on_the_way"] == sha256(path)
        stored = client.get_object(Bucket="media", Key=entry["key"])
        assert hashlib.sha256(stored["Body"].read()).hexdigest() == sha256(path)
        assert stored["ContentType"] == "text/plain"
        assert entry["key"].startswith("kept/")
        assert entry["key"].endswith(f"-{path.name}")
    assert stores[name].uploads() == []


async def test_every_size_arrives_in_google_cloud_storage(browser, site, gcs_proxy, sized):
    consumed = await consumed_from(browser, site, sized, "gcs")
    for path in sized:
        entry = consumed[path.name]
        assert entry["sha256"] == entry["sha256_on_the_way"] == sha256(path)
        assert hashlib.sha256(gcs_proxy.read(entry["key"])).hexdigest() == sha256(path)
        assert gcs_proxy.stat(entry["key"])["contentType"] == "text/plain"
        assert entry["key"].endswith(f"-{path.name}")
    assert len(gcs_proxy.keys()) == len(sized)


async def test_the_url_of_a_stored_file_can_be_fetched(browser, site, stores, sized):
    page = await open_page(browser, site.http("/"))
    await page.wait_for_selector("[dj-upload=moto][multiple]")
    await page.evaluate(
        """() => addEventListener("djust:push_event", ({detail}) => {
          window.url = detail.payload.url;
        })"""
    )
    await page.set_input_files("[dj-upload=moto]", str(sized[2]))
    await rows(page, "complete")
    await page.evaluate("djust.sendEvent('report', {slot: 'moto'})")
    stored = await asyncio.to_thread(fetch, await page.evaluate("url"))
    assert stored == sized[2].read_bytes()
    await page.context.close()


async def test_what_was_left_unconsumed_is_deleted(browser, site, stores, sized):
    before = stores["seaweedfs"].object_keys()
    page = await open_page(browser, site.http("/"))
    await page.wait_for_selector("[dj-upload=seaweedfs][multiple]")
    await page.set_input_files("[dj-upload=seaweedfs]", [str(sized[3]), str(sized[-1])])
    await rows(page, "complete")
    await page.context.close()

    def clean():
        store = stores["seaweedfs"]
        return store.object_keys() == before and store.uploads() == []

    await until(clean)
