from __future__ import annotations

import pytest
from django.test import override_settings

from djust_uploads import MemorySink, Sink, TemporaryFileSink
from djust_uploads.conf import SinkHandler, sinks
from djust_uploads.exceptions import InvalidSink
from djust_uploads.settings import UploadSettings, upload_settings

MEMORY = "djust_uploads.sinks.MemorySink"
TEMPORARY = "djust_uploads.sinks.TemporaryFileSink"


def configured(**aliases):
    return override_settings(DJUST_UPLOADS={"SINKS": aliases})


def test_without_settings_there_is_a_temporary_file_sink():
    with override_settings(DJUST_UPLOADS={}):
        assert list(sinks) == ["default"]
        assert isinstance(sinks["default"], TemporaryFileSink)
        assert sinks.resolve(None) is sinks["default"]
        assert upload_settings() == UploadSettings()


def test_default_is_there_beside_other_aliases():
    with configured(memory={"BACKEND": MEMORY}):
        assert list(sinks) == ["default", "memory"]
        assert "default" in sinks
        assert "other" not in sinks
        assert isinstance(sinks["default"], TemporaryFileSink)
        assert isinstance(sinks["memory"], MemorySink)


def test_default_can_be_another():
    with configured(default={"BACKEND": MEMORY}):
        assert isinstance(sinks.resolve(None), MemorySink)


def test_one_instance_per_alias():
    with configured(a={"BACKEND": MEMORY}, b={"BACKEND": MEMORY}):
        assert sinks["a"] is sinks["a"]
        assert sinks["a"] is not sinks["b"]
        assert SinkHandler()["a"] is not sinks["a"]


def test_options_reach_the_backend(tmp_path):
    with configured(a={"BACKEND": TEMPORARY, "OPTIONS": {"directory": str(tmp_path)}}):
        assert sinks["a"].directory == tmp_path


def test_resolve_takes_aliases_and_instances():
    sink = MemorySink()
    assert sinks.resolve(sink) is sink
    assert sinks.resolve("memory") is sinks["memory"]


def test_unknown_alias_lists_those_there_are():
    with (
        configured(memory={"BACKEND": MEMORY}, media={"BACKEND": MEMORY}),
        pytest.raises(InvalidSink, match=r"'nope'.*Configured: default, media, memory\."),
    ):
        sinks["nope"]


class NotASink:
    pass


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "has no 'BACKEND'"),
        ({"OPTIONS": {}}, "has no 'BACKEND'"),
        ({"BACKEND": "no.such.Sink"}, "can't be imported: No module named 'no'"),
        ({"BACKEND": "djust_uploads.sinks.NoSuchSink"}, "can't be imported"),
        ({"BACKEND": "NoDots"}, "can't be imported"),
        ({"BACKEND": MEMORY, "OPTIONS": {"x": 1}}, "wrong option.*takes no arguments"),
        ("djust_uploads.sinks.MemorySink", "must be a dictionary. Got: 'djust_uploads"),
        ({"BACKEND": TEMPORARY, "OPTIONS": {"permissions": "640"}}, "wrong option.*Got: '640'"),
        ({"BACKEND": "djust_uploads.sinks.Sink"}, "wrong option.*abstract"),
        ({"BACKEND": "tests.test_conf.NotASink"}, "is not a Sink. Got: <tests.test_conf.NotASink"),
    ],
)
def test_sink_that_cannot_be_made(params, message):
    with configured(bad=params), pytest.raises(InvalidSink, match=message) as caught:
        sinks["bad"]
    assert "'bad'" in str(caught.value)


def test_override_settings_resets_both():
    before: Sink = sinks["memory"]
    with override_settings(
        DJUST_UPLOADS={"SINKS": {"memory": {"BACKEND": MEMORY}}, "SINK_TIMEOUT": 1, "SHA256": False}
    ):
        assert sinks["memory"] is not before
        assert upload_settings().sink_timeout == 1
        assert upload_settings().sha256 is False
    assert upload_settings().sha256 is True
    assert "slow" in sinks


def test_other_settings_reset_nothing():
    before = sinks["memory"]
    with override_settings(USE_TZ=False):
        assert sinks["memory"] is before


def test_defaults():
    assert UploadSettings() == UploadSettings(
        sinks={}, max_buffered_bytes=268435456, sink_timeout=60.0, sha256=False
    )
