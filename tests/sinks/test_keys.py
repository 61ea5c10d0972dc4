"""The keys of objects in a bucket."""

from __future__ import annotations

import datetime

from djust_uploads.sinks.keys import literal_prefix, object_key
from tests.support.buckets import info


def test_keys():
    upload = info(1, name="a b.jpg")
    today = datetime.datetime.now()
    assert object_key("in/%Y/%d", upload) == f"in/{today:%Y/%d}/{upload.key}-a_b.jpg"
    assert object_key("", upload) == f"{upload.key}-a_b.jpg"
    assert object_key(lambda upload: f"x/{upload.client_name}", upload) == "x/a b.jpg"
    assert literal_prefix("in/%Y/") == "in/"
    assert literal_prefix(lambda upload: "x") is None
