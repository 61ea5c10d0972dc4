"""The options of ObjectStoreSink, and what a wrong one says."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings

from djust_uploads import checks
from djust_uploads.exceptions import SinkMisconfigured
from djust_uploads.sinks import ObjectStoreSink
from djust_uploads.sinks.object_store import client as object_store_client
from tests.support.buckets import OBJECT_STORE, upload
from tests.support.google_xml import google


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
    with override_settings(DJUST_UPLOADS=OBJECT_STORE.setting(**options)):
        (message,) = await asyncio.to_thread(checks.check_sinks)
    assert message.id == "djust_uploads.E001"
    with pytest.raises(SinkMisconfigured, match=says):
        await upload(ObjectStoreSink(**options), b"content")


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
        sink = OBJECT_STORE.make(proxy, url="gs://media", config={"bearer_token": "wrong"})
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
