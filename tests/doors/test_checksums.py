"""Bytes that are damaged on their way, by a network that is not protected by TLS."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from djust_uploads.testing import UploadClient, UploadFailed
from tests.support.connection import Connection
from tests.support.http import http_site
from tests.support.link import Link
from tests.support.resuming import new_session

DATA = os.urandom(300_000)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    settings = {"CHUNK_CHECKSUMS": True, "SHA256": False}
    with http_site(tmp_path_factory.mktemp("checksums"), settings=settings) as site:
        yield site


@pytest.fixture
async def link(site):
    async with Link([site.port]) as link:
        yield link


@pytest.fixture
async def page(link):
    async with UploadClient(link.ws("/ws/"), cookies=new_session()) as page:
        await page.mounted()
        yield page


async def upload(page, data=DATA, **keys):
    ref = str(uuid.uuid4())
    await page.announce("default", "a.bin", len(DATA), ref=ref, **keys)
    await page.send_chunks(ref, data)
    return await page.complete(ref)


async def test_a_checksum_of_each_chunk(page, link):
    page.checksums = True
    assert (await upload(page))["status"] == "complete"
    link.damage_after(150_000)
    with pytest.raises(UploadFailed, match="digest_mismatch: The file was damaged on its way"):
        await upload(page)
    assert (await upload(page))["status"] == "complete", "the connection goes on"


async def test_a_digest_of_the_whole_file(page, link):
    digest = hashlib.sha256(DATA).hexdigest()
    assert (await upload(page, sha256=digest.upper()))["status"] == "complete"
    link.damage_after(150_000)
    with pytest.raises(UploadFailed, match="digest_mismatch"):
        await upload(page, sha256=digest)
    with pytest.raises(UploadFailed, match="invalid_message"):
        await upload(page, sha256="abc")


async def test_without_them_nobody_notices(page, link):
    link.damage_after(150_000)
    assert (await upload(page))["status"] == "complete"
    await page.event("report", slot="default")
    file = (await page.wait_for(event="consumed"))["payload"]
    assert file["sha256"] != hashlib.sha256(DATA).hexdigest()


def test_pages_are_told_to_send_checksums():
    for settings in ({}, {"CHUNK_CHECKSUMS": True}):
        with override_settings(DJUST_UPLOADS=settings):
            config = Connection().manager.client_configs()["files"]
        assert config.get("checksums", False) is bool(settings)


def test_the_package_that_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with override_settings(DJUST_UPLOADS={"CHUNK_CHECKSUMS": True}):
        found = {message.id: message.msg for message in run_checks(tags=["djust_uploads"])}
    assert "pip install 'djust-uploads[crc32c]'" in found["djust_uploads.E016"]
