"""What a sink says of a setting that is wrong."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings

from djust_uploads import checks
from djust_uploads.exceptions import SinkMisconfigured
from tests.support.buckets import OBJECT_STORE, PART, S3, SMALL, info, write
from tests.support.s3_stores import empty


def test_checks_of_the_settings_and_of_the_store(kind, moto_store):
    options = {**moto_store.options, **kind.bucket}
    with override_settings(DJUST_UPLOADS=kind.setting(**options)):
        assert checks.check_sinks() == checks.check_stores() == []
    with override_settings(DJUST_UPLOADS=kind.setting(**options | kind.no_bucket)):
        assert checks.check_sinks() == []
        (message,) = checks.check_stores()
        assert message.id == "djust_uploads.E006" and "nowhere" in message.msg
    options["endpoint_url"] = "http://store.example.com"
    with override_settings(DJUST_UPLOADS=kind.setting(**options)):
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.W006"]


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ("bucket", "Check (bucket|url)"),
        ({"aws_secret_access_key": "wrong"}, "Check aws_secret_access_key"),
        ({"aws_access_key_id": "wrong"}, "Check aws_access_key_id"),
        (
            {"aws_access_key_id": "reader", "aws_secret_access_key": "may only read"},
            "Check the permissions of aws_access_key_id",
        ),
    ],
)
@pytest.mark.parametrize("size", [SMALL, 3 * PART])
@pytest.mark.parametrize(
    ("kind", "options"),
    [(S3, {}), (OBJECT_STORE, {}), (OBJECT_STORE, OBJECT_STORE.unmarked)],
    ids=["S3Sink", "ObjectStoreSink", "ObjectStoreSink without marks"],
)
async def test_a_wrong_setting_fails_at_once_and_is_named(
    kind, seaweedfs_store, wrong, setting, size, options
):
    empty(seaweedfs_store)
    wrong = kind.no_bucket if wrong == "bucket" else wrong
    async with kind.sink(seaweedfs_store, **options, **wrong) as sink:
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match=setting) as caught:
            await write(writer, bytes(min(size, kind.told_after)))
            await writer.finish()
        assert "Debug" not in str(caught.value)
        await writer.abort()
        messages = await asyncio.to_thread(sink.check_store)
        expected = [] if wrong.get("aws_access_key_id") == "reader" else ["djust_uploads.E006"]
        assert [message.id for message in messages] == expected
    assert seaweedfs_store.object_keys() == seaweedfs_store.uploads() == []
