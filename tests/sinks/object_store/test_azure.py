"""ObjectStoreSink on Azurite. Not collected where there is none."""

from __future__ import annotations

import asyncio
import os
import urllib.request

import pytest

from djust_uploads.exceptions import SinkMisconfigured
from tests.sinks.object_store.test_contract import OnStore
from tests.support.azure_stores import KEY, azure
from tests.support.buckets import OBJECT_STORE, PART, SMALL, eventually, info, upload, write
from tests.support.matrix import matrix


@pytest.fixture(scope="session")
def azure_store():
    with azure() as store:
        yield store


@pytest.fixture
def az(azure_store):
    """An empty container."""
    azure_store.empty()
    return azure_store


@matrix
class TestObjectStoreSinkOnAzure(OnStore):
    @pytest.fixture
    def sink(self, az):
        self.store = az
        return OBJECT_STORE.make(az, url="az://media")

    def leftovers(self, sink):
        return self.store.object_keys()


@pytest.mark.parametrize("size", [SMALL, 2 * PART + 1])
async def test_what_is_said_of_the_object_and_a_signed_url(az, size):
    data = os.urandom(size)
    options = {"metadata": {"team": "blue"}, "cache_control": "max-age=60"}
    async with OBJECT_STORE.sink(az, url="az://media", **options) as sink:
        file = await upload(sink, data)

        def get():
            with urllib.request.urlopen(file.url) as answer:
                return answer.read(), answer.headers

        body, headers = await asyncio.to_thread(get)
    assert body == data
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Cache-Control"] == "max-age=60"
    assert headers["x-ms-meta-team"] == "blue"
    assert headers["x-ms-meta-djust_upload"] in file.key


@pytest.mark.parametrize("upload_to", ["", lambda upload: "guessable"])
async def test_abort_leaves_no_blocks(az, upload_to):
    async with OBJECT_STORE.sink(az, url="az://media", upload_to=upload_to) as sink:
        writer = await sink.open(info(3 * PART))
        await writer.write(bytes(2 * PART))
        # A block that is on its way when the upload is aborted may land later.
        await eventually(lambda: az.blocks(writer.key) == 2)
        await writer.abort()
        assert az.blocks(writer.key) == 0
        assert az.object_keys() == []


@pytest.mark.parametrize("size", [SMALL, PART + 1])
async def test_an_object_of_others_is_never_overwritten(az, size):
    options = {"upload_to": lambda upload: "fixed", "marks": None}
    async with OBJECT_STORE.sink(az, url="az://media", **options) as sink:
        theirs = await upload(sink, b"theirs")
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match="upload_to"):
            await write(writer, bytes(size))
            await writer.finish()
        await writer.abort()
        assert await theirs.aread() == b"theirs"


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"url": "az://nowhere"}, "Check url"),
        ({"account_key": KEY[1:9] + KEY[8:]}, "account_name and account_key"),
        ({"metadata": {"not-one": "x"}}, "Check metadata"),
    ],
)
async def test_a_wrong_setting_is_named(az, wrong, setting):
    options = {"url": "az://media", "marks": None, **wrong}
    async with OBJECT_STORE.sink(az, **options) as sink:
        writer = await sink.open(info(SMALL))
        await writer.write(bytes(SMALL))
        with pytest.raises(SinkMisconfigured, match=setting):
            await writer.finish()
        await writer.abort()
