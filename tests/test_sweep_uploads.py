"""``manage.py sweep_uploads``."""

from __future__ import annotations

import os
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from djust_uploads.sinks.temporary_file import PREFIX


@pytest.fixture
def directories(tmp_path):
    """Two sinks' directories, each with an old, a young and a foreign file."""
    found = {}
    for alias in ("default", "fast"):
        found[alias] = directory = tmp_path / alias
        directory.mkdir()
        for name, age in ((f"{PREFIX}old", 25), (f"{PREFIX}young", 23), ("foreign", 100)):
            (directory / name).touch()
            then = time.time() - age * 3600
            os.utime(directory / name, (then, then))
    configured = {
        alias: {
            "BACKEND": "djust_uploads.sinks.TemporaryFileSink",
            "OPTIONS": {"directory": str(directory)},
        }
        for alias, directory in found.items()
    }
    with override_settings(DJUST_UPLOADS={"SINKS": configured}):
        yield found


def names(directory):
    return {path.name for path in directory.iterdir()}


def sweep(*arguments):
    out, err = StringIO(), StringIO()
    try:
        call_command("sweep_uploads", *arguments, stdout=out, stderr=err)
    except CommandError as exc:
        return out.getvalue(), err.getvalue(), str(exc)
    return out.getvalue(), err.getvalue(), None


def test_it_deletes_what_is_old_in_every_sink(directories):
    out, _err, error = sweep("--older-than", "24h")
    assert error is None
    for alias, directory in directories.items():
        assert names(directory) == {f"{PREFIX}young", "foreign"}
        assert f"{alias}: deleted {PREFIX}old\n{alias}: deleted 1 in total\n" in out


def test_a_dry_run_deletes_nothing(directories):
    out, _err, error = sweep("--older-than", "24h", "--dry-run")
    assert error is None
    assert f"default: would delete {PREFIX}old\n" in out
    for directory in directories.values():
        assert names(directory) == {f"{PREFIX}old", f"{PREFIX}young", "foreign"}


@pytest.mark.parametrize("age", ["82800s", "1380m", "1d"])
def test_ages(directories, age):
    sweep("--older-than", age)
    assert f"{PREFIX}old" not in names(directories["default"])


@pytest.mark.parametrize("age", ["24", "h", "1.5h", "-1h", "1 day", ""])
def test_what_is_no_age_is_refused(directories, age):
    _out, _err, error = sweep(f"--older-than={age}")
    assert "as in 90m, 24h, 7d" in error
    assert f"{PREFIX}old" in names(directories["default"])


def test_the_age_must_be_said(directories):
    _out, _err, error = sweep()
    assert "--older-than" in error


def test_a_sink_that_fails_keeps_no_other_from_being_swept(directories):
    from django.conf import settings

    configured = {"broken": {"BACKEND": "djust_uploads.Missing"}, **settings.DJUST_UPLOADS["SINKS"]}
    with override_settings(DJUST_UPLOADS={"SINKS": configured}):
        _out, err, error = sweep("--older-than", "24h")
    assert error == "These sinks could not be swept: broken."
    assert "broken: The upload sink 'broken' can't be imported" in err
    assert f"{PREFIX}old" not in names(directories["fast"])


def test_it_is_quiet_when_asked(directories):
    assert sweep("--older-than", "24h", "--verbosity", "0") == ("", "", None)
