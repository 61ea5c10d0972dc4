"""The options of the sinks for buckets, and what is said where the SDK is missing."""

from __future__ import annotations

import pytest
from django.test import override_settings

from djust_uploads import checks
from djust_uploads.conf import sinks
from djust_uploads.exceptions import InvalidSink
from tests.support.buckets import MIB
from tests.support.missing_extra import without

#: Options that are refused, and what the message says.
WRONG = {
    "S3Sink": [
        ({}, "bucket"),
        ({"bucket": ""}, "bucket must be a bucket's name"),
        ({"bucket": "a/b"}, "bucket must be"),
        ({"bucket": "b", "upload_to": 3}, "upload_to must be a prefix or a callable"),
        ({"bucket": "b", "part_size": MIB}, "part_size must be 5 MiB to 5 GiB. Got: 1048576"),
        ({"bucket": "b", "max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"bucket": "b", "extra_args": {"Body": 1}}, r"extra_args must be of .*Got: \['Body'\]"),
        ({"bucket": "b", "content_disposition": "x"}, "content_disposition must be in"),
        ({"bucket": "b", "checksum": "MD5"}, "checksum must be in"),
        ({"bucket": "b", "url_expires": 604801}, "url_expires must be"),
        ({"bucket": "b", "addressing_style": "x"}, "addressing_style must be"),
        ({"bucket": "b", "unconsumed_tag": "x"}, "unconsumed_tag must be key=value"),
        ({"bucket": "b", "endpoint_url": "host"}, "endpoint_url must be"),
        ({"bucket": "b", "aws_access_key_id": "x"}, "aws_secret_access_key must be given with"),
        ({"bucket": "b", "colour": "x"}, "colour"),
    ],
    "ObjectStoreSink": [
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
    "GCSSink": [
        ({}, "bucket"),
        ({"bucket": "a/b"}, "bucket must be a bucket's name"),
        ({"bucket": "b", "upload_to": 3}, "upload_to must be a prefix or a callable"),
        ({"bucket": "b", "chunk_size": 1}, "chunk_size must be a multiple of 256 KiB. Got: 1"),
        ({"bucket": "b", "chunk_size": 0}, "chunk_size must be"),
        ({"bucket": "b", "predefined_acl": "x"}, "predefined_acl must be in"),
        ({"bucket": "b", "metadata": {"a": 1}}, "metadata must be a dict of strings"),
        ({"bucket": "b", "content_disposition": "x"}, "content_disposition must be in"),
        ({"bucket": "b", "if_generation_match": 5}, "if_generation_match must be 0, None"),
        ({"bucket": "b", "url_expires": 604801}, "url_expires must be"),
        ({"bucket": "b", "api_endpoint": "host"}, "api_endpoint must be"),
        ({"bucket": "b", "threads": 0}, "threads must be"),
        ({"bucket": "b", "colour": "x"}, "colour"),
    ],
}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [(name, options, says) for name, wrong in WRONG.items() for options, says in wrong],
)
def test_a_wrong_option_is_a_system_check(name, options, says):
    backend = f"djust_uploads.sinks.{name}"
    setting = {"SINKS": {"media": {"BACKEND": backend, "OPTIONS": options}}}
    with override_settings(DJUST_UPLOADS=setting):
        with pytest.raises(InvalidSink, match=says):
            sinks["media"]
        assert [message.id for message in checks.check_sinks()] == ["djust_uploads.E001"]


@pytest.mark.parametrize(
    ("module", "extra", "name", "options"),
    [
        ("aioboto3", "s3", "S3Sink", {"bucket": "media"}),
        ("obstore", "obstore", "ObjectStoreSink", {"url": "s3://media"}),
        ("google.cloud", "gcs", "GCSSink", {"bucket": "media"}),
    ],
)
def test_without_the_sdk_the_rest_works_and_the_sink_says_what_to_install(
    module, extra, name, options
):
    printed = without(module, name, **options)
    assert printed.count(f"pip install 'djust-uploads[{extra}]'") == 2
    assert "djust_uploads.E001" in printed
    imported = printed.splitlines()[-1].split()
    assert [name for name in imported if "boto" in name] == [module] * (module == "aioboto3")
