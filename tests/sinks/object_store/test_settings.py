"""The options of ObjectStoreSink, and what a wrong one says."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings

from djust_uploads import checks
from djust_uploads.conf import sinks
from djust_uploads.exceptions import InvalidSink, SinkMisconfigured
from djust_uploads.sinks import ObjectStoreSink
from djust_uploads.sinks.object_store import client as object_store_client
from tests.sinks.s3.test_sink import MIB, PART, SMALL, info, upload, write
from tests.support.google_xml import google
from tests.support.missing_extra import without
from tests.support.object_store_uploads import make_sink, sink_for
from tests.support.s3_stores import empty

BACKEND = "djust_uploads.sinks.ObjectStoreSink"


def setting(**options):
    return {"SINKS": {"media": {"BACKEND": BACKEND, "OPTIONS": options}}}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "url"),
        ({"url": "media"}, "url must be s3://bucket"),
        ({"url": "s3://"}, "url must be"),
        ({"url": "s3://b/photos"}, "without a path"),
        ({"url": "http://b"}, "url must be"),
        ({"url": "s3://b", "upload_to": 3}, "upload_to must be a prefix or a callable"),
        ({"url": "s3://b", "endpoint_url": "host"}, "endpoint_url must be"),
        ({"url": "s3://b", "aws_access_key_id": "x"}, "aws_secret_access_key must be given with"),
        ({"url": "az://b", "account_key": "x"}, "account_key must be given with account_name"),
        ({"url": "s3://b", "credentials": "x"}, "url must be of a store that takes credentials"),
        ({"url": "gs://b", "region_name": "x"}, "url must be of a store that takes region_name"),
        ({"url": "s3://b", "part_size": MIB}, "part_size must be 5 MiB to 5 GiB. Got: 1048576"),
        ({"url": "s3://b", "max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"url": "s3://b", "checksum": "CRC32"}, "checksum must be in"),
        ({"url": "gs://b", "checksum": "SHA256"}, "url must be of a store that takes checksum"),
        ({"url": "s3://b", "addressing_style": "x"}, "addressing_style must be"),
        ({"url": "s3://b", "metadata": {"a": 1}}, "metadata must be a dict of strings"),
        ({"url": "s3://b", "content_disposition": "x"}, "content_disposition must be in"),
        ({"url": "s3://b", "url_expires": 604801}, "url_expires must be"),
        ({"url": "s3://b", "marks": ""}, "marks must be a folder"),
        ({"url": "s3://b", "marks": "/x/"}, "marks must be a folder"),
        ({"url": "s3://b", "colour": "x"}, "colour"),
    ],
)
def test_a_wrong_option_is_a_system_check(options, says):
    with override_settings(DJUST_UPLOADS=setting(**options)):
        with pytest.raises(InvalidSink, match=says):
            sinks["media"]
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.E001"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"config": {"colour": "x"}}, "colour.* Check the credentials, config"),
        ({"client_options": {"colour": "x"}}, "colour"),
        ({"client_options": {"timeout": "soon"}}, "soon"),
        ({"url": "gs://media", "credentials": "/nowhere.json"}, "Check the credentials"),
        ({"url": "az://media"}, "Check the credentials"),
    ],
)
async def test_what_obstore_does_not_take_is_a_system_check(monkeypatch, options, says):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    options = {"url": "s3://media", **options}
    with override_settings(DJUST_UPLOADS=setting(**options)):
        (message,) = await asyncio.to_thread(checks.check_sinks)
    assert message.id == "djust_uploads.E001"
    with pytest.raises(SinkMisconfigured, match=says):
        await upload(ObjectStoreSink(**options), b"content")


def test_checks_of_the_settings_and_of_the_store(moto_store):
    options = {"url": "s3://media", **moto_store.options}
    with override_settings(DJUST_UPLOADS=setting(**options)):
        assert checks.check_sinks() == checks.check_stores() == []
    with override_settings(DJUST_UPLOADS=setting(**options | {"url": "s3://nowhere"})):
        assert checks.check_sinks() == []
        (message,) = checks.check_stores()
        assert message.id == "djust_uploads.E006" and "nowhere" in message.msg
    options["endpoint_url"] = "http://store.example.com"
    with override_settings(DJUST_UPLOADS=setting(**options)):
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.W006"]


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"url": "s3://nowhere"}, "Check url"),
        ({"aws_secret_access_key": "wrong"}, "Check aws_secret_access_key"),
        ({"aws_access_key_id": "wrong"}, "Check aws_access_key_id"),
        (
            {"aws_access_key_id": "reader", "aws_secret_access_key": "may only read"},
            "Check the permissions of aws_access_key_id",
        ),
    ],
)
@pytest.mark.parametrize("size", [SMALL, 3 * PART])
@pytest.mark.parametrize("marks", [None, "marks"])
async def test_a_wrong_setting_fails_at_once_and_is_named(
    seaweedfs_store, wrong, setting, size, marks
):
    empty(seaweedfs_store)
    async with sink_for(seaweedfs_store, marks=marks, **wrong) as sink:
        writer = await sink.open(info(size))
        with pytest.raises(SinkMisconfigured, match=setting) as caught:
            await write(writer, bytes(size))
            await writer.finish()
        assert "Debug" not in str(caught.value)
        await writer.abort()
        messages = await asyncio.to_thread(sink.check_store)
        expected = [] if wrong.get("aws_access_key_id") == "reader" else ["djust_uploads.E006"]
        assert [message.id for message in messages] == expected
    assert seaweedfs_store.object_keys() == seaweedfs_store.uploads() == []


async def test_no_credentials_is_a_setting(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(object_store_client, "ATTEMPTS", 1)
    # Instead of the address at which a machine in a cloud asks for its role.
    config = {"metadata_endpoint": "http://127.0.0.1:1"}
    sink = ObjectStoreSink("s3://media", region_name="us-east-1", config=config)
    with pytest.raises(SinkMisconfigured, match="Check aws_access_key_id"):
        await upload(sink, b"content")


async def test_a_wrong_token_of_google_is_a_setting(moto_store):
    with google(moto_store.endpoint_url) as proxy:
        sink = make_sink(proxy, "gs://media", config={"bearer_token": "wrong"})
        with pytest.raises(SinkMisconfigured, match="Check the permissions of credentials"):
            await upload(sink, b"content")


def config_of(url, **options):
    return ObjectStoreSink(url, **options)._bucket.client.made().config


def test_addressing_styles():
    def is_virtual(url, **options):
        return config_of(url, **options)["virtual_hosted_style_request"] == "true"

    assert is_virtual("s3://media")
    assert not is_virtual("s3://media.example")
    assert not is_virtual("s3://media", addressing_style="path")
    ours = {"endpoint_url": "https://store.example:9000"}
    assert not is_virtual("s3://media", **ours)
    assert is_virtual("s3://media", addressing_style="virtual", **ours)
    config = config_of("s3://media", addressing_style="virtual", **ours)
    assert config["endpoint"] == "https://media.store.example:9000"


def test_what_config_says_comes_last():
    config = config_of("s3://media", region_name="eu-west-1", config={"region": "eu-central-1"})
    assert config["region"] == "eu-central-1"


def test_making_a_sink_reads_nothing(tmp_path):
    """Neither files nor the network: a wrong path is found when the sink is used."""
    ObjectStoreSink("gs://media", credentials=str(tmp_path / "missing.json"))


def test_without_obstore_the_rest_works_and_the_sink_says_what_to_install():
    printed = without("obstore", "ObjectStoreSink", url="s3://media")
    assert printed.count("pip install 'djust-uploads[obstore]'") == 2
    assert "djust_uploads.E001" in printed
