"""What GCSSink is told, and what it says of it."""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
import urllib.request

import pytest
from django.test import override_settings
from google.auth.credentials import AnonymousCredentials

from djust_uploads import checks
from djust_uploads.conf import sinks
from djust_uploads.exceptions import SinkError, SinkMisconfigured, SinkUnavailable
from djust_uploads.sinks import GCSSink
from djust_uploads.sinks.gcs import bucket as gcs
from djust_uploads.sinks.gcs.errors import status_of
from tests.support.buckets import info, upload, write
from tests.support.gcs_stores import (
    DROPPED,
    LOST,
)
from tests.support.gcs_uploads import PART, sink_for


@pytest.mark.parametrize(
    ("operation", "status", "setting"),
    [
        ("begin", 401, "Check credentials"),
        ("begin", 403, "Check what credentials may do"),
        ("begin", 404, "Check bucket"),
        ("begin", 400, "Check predefined_acl"),
        ("put", 403, "Check what credentials may do"),
    ],
)
async def test_a_wrong_setting_fails_at_once_and_is_named(broken, operation, status, setting):
    broken.faults[operation] = [status]
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        with pytest.raises(SinkMisconfigured, match=setting) as caught:
            await write(writer, bytes(3 * PART))
            await writer.finish()
        # After a 401 the SDK renews its token, if it can.
        assert status == 401 or status_of(caught.value) == status
        await writer.abort()
    assert broken.keys() == broken.live_sessions() == []


async def test_a_bucket_that_is_not_there(store):
    async with sink_for(store, "nowhere") as sink:
        with pytest.raises(SinkMisconfigured, match="Check bucket"):
            await upload(sink, b"content")


async def test_nobody_there_is_retryable(gcs_emulator):
    async with sink_for(gcs_emulator, api_endpoint="http://127.0.0.1:1") as sink:
        with pytest.raises(SinkUnavailable):
            await upload(sink, b"content")


class Renewable(AnonymousCredentials):
    """Credentials whose token can be renewed."""

    def refresh(self, request):
        pass

    def before_request(self, request, method, url, headers):
        headers["Authorization"] = "Bearer token"


async def test_a_part_is_sent_again_whole_after_the_token_was_renewed(broken):
    broken.faults["put"] = [401]
    data = os.urandom(PART + 5)
    async with sink_for(broken, credentials=Renewable()) as sink:
        file = await upload(sink, data)
    assert broken.requests.count("put") == 3 and broken.count("query") == 0
    assert broken.read(file.key) == data


@pytest.mark.parametrize("credentials", ["/nowhere/key.json", None])
async def test_no_credentials_is_a_setting(monkeypatch, credentials):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/default.json")
    sink = GCSSink("media", credentials=credentials)
    with pytest.raises(SinkMisconfigured, match="Check credentials"):
        await upload(sink, b"content")
    await sink.aclose()


def unquoted(record):
    """All that a formatter may make of it."""
    return urllib.request.unquote(repr(vars(record)))


@pytest.mark.parametrize("fault", [DROPPED, LOST, 403, 404, 500])
async def test_the_session_uri_is_never_said(broken, monkeypatch, caplog, fault):
    monkeypatch.setattr(gcs, "ATTEMPTS", 1)
    caplog.set_level(logging.DEBUG)
    async with sink_for(broken) as sink:
        writer = await sink.open(info(3 * PART))
        await writer.write(bytes(PART))
        await writer._landed()
        for operation in ("put", "query", "cancel"):
            broken.faults[operation] = [fault]
        with pytest.raises(SinkError) as caught:
            await writer.write(bytes(2 * PART))
            await writer.finish()
        (uri,) = broken.sessions
        assert not [record for record in caplog.records if uri in unquoted(record)]
        said = caplog.text + "".join(traceback.format_exception(caught.value))
        assert "upload_id=…" in said
        assert uri.rpartition(" ")[2] not in urllib.request.unquote(said)
        broken.faults.clear()
        await writer.abort()


def test_checks_of_the_store(broken):
    def setting(bucket):
        options = {"bucket": bucket, **broken.options}
        backend = "djust_uploads.sinks.GCSSink"
        return {"SINKS": {"media": {"BACKEND": backend, "OPTIONS": options}}}

    with override_settings(DJUST_UPLOADS=setting("media")):
        assert checks.check_sinks() == checks.check_stores() == []
        asyncio.run(sinks["media"].aclose())
    with override_settings(DJUST_UPLOADS=setting("nowhere")):
        (message,) = checks.check_stores()
        assert message.id == "djust_uploads.E006" and "nowhere" in message.msg
        asyncio.run(sinks["media"].aclose())
    sink = GCSSink("media", **broken.options)
    sink._bucket.api.permissions = lambda wanted: {"storage.objects.create"}
    (message,) = sink.check_store()
    assert "credentials lack storage.objects.delete" in message.msg
