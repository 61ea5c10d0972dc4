"""``examples/deploy/policies/s3.json`` is enough for all that a sink does, and is not more."""

from __future__ import annotations

import json
import os
import re

import boto3
import pytest

from djust_uploads.exceptions import SinkMisconfigured
from djust_uploads.sinks import S3Sink
from tests.support.buckets import ANY_AGE, MIB, SMALL, info, upload, write
from tests.support.s3_stores import empty
from tests.support.servers import ROOT

POLICIES = ROOT / "examples" / "deploy" / "policies"
POLICY = json.loads((POLICIES / "s3.json").read_text())
#: What moto does not ask for, when an object gets tags with its bytes, and when they are deleted.
#: AWS does: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
NOT_ASKED = {"s3:PutObjectTagging", "s3:DeleteObjectTagging"}
ACTIONS = sorted({one for each in POLICY["Statement"] for one in each["Action"]} - NOT_ASKED)


def user(store, *, without=""):
    """The keys of a user who may do what the policy says, except for one action."""
    policy = json.loads(json.dumps(POLICY))
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != without]
        if "s3:ListBucket" in statement["Action"]:
            # AWS asks for ListBucket: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
            statement["Action"].append("s3:HeadBucket")
    name = f"worker-without-{without.removeprefix('s3:')}"
    iam = boto3.client("iam", **store.options)
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="uploads", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


@pytest.fixture
def as_user(moto_store, monkeypatch):
    """Returns a sink whose requests the store judges by a user's policy."""
    empty(moto_store)
    with monkeypatch.context() as patch:

        def sink(**options):
            keys = user(moto_store, **options)
            patch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
            return S3Sink("media", "photos/", **{**moto_store.options, **keys})

        yield sink
    empty(moto_store)


async def do_everything(sink):
    """Make each kind of request that the sink makes."""
    sink._ask_store()
    small = await upload(sink, bytes(SMALL))
    await small.akeep()
    data = os.urandom(2 * 8 * MIB)
    first = await sink.open(info(len(data)))
    await write(first, data[: 8 * MIB], MIB)
    await first.flush()
    checkpoint = await first.checkpoint()
    await first.release()
    second = await sink.resume(info(len(data)), checkpoint)
    await write(second, data[second.offset :], MIB)
    stored = await second.finish()
    assert await stored.aread(10) == data[:10]
    await stored.adelete()
    cancelled = await sink.open(info(len(data)))
    await write(cancelled, data[: 8 * MIB], MIB)
    await cancelled.abort()
    await sink.sweep(ANY_AGE)


async def test_the_policy_is_enough(as_user):
    sink = as_user()
    try:
        await do_everything(sink)
    finally:
        await sink.aclose()


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_an_action_something_fails(as_user, action):
    sink = as_user(without=action)
    try:
        with pytest.raises(SinkMisconfigured):
            await do_everything(sink)
    finally:
        await sink.aclose()


def test_the_page_shows_the_files():
    page = (ROOT / "docs" / "s3.md").read_text()
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.S)]
    assert shown == [json.loads((POLICIES / "s3-lifecycle.json").read_text()), POLICY]
