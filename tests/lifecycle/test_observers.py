"""Observers: who is told, and what their mistakes cost."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from djust_uploads.observability import Observer
from djust_uploads.uploads import process
from tests.support.connection import Connection
from tests.support.servers import ROOT


class Mistaken(Observer):
    """An observer whose every method raises an exception."""

    calls: list[str] = []


def _mistaken(name):
    def mistake(self, *args):
        self.calls.append(name)
        raise RuntimeError("a mistake")

    mistake.__qualname__ = f"Mistaken.{name}"
    return mistake


for _name in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Mistaken, _name, _mistaken(_name))


def observing(*paths):
    return override_settings(DJUST_UPLOADS={"OBSERVERS": list(paths)})


async def test_mistakes_are_logged_and_change_nothing(caplog):
    Mistaken.calls.clear()
    # Tests before this one may have left some.
    parked = dict(process.parking._transfers)
    with observing(f"{__name__}.Mistaken"):
        async with Connection() as page:
            assert (await page.upload(bytes(1000)))["status"] == "complete"
    assert Mistaken.calls == [
        *("started", "called_sink", "called_sink", "finalizing", "called_sink", "completed"),
        "cancelled",
    ]
    assert "Mistaken.called_sink raised" in caplog.text
    assert process.parking._transfers.keys() <= parked.keys()


def checked():
    """What the system checks say, by their ids."""
    return {message.id: message.msg for message in run_checks(tags=["djust_uploads"])}


WRONG = ["nowhere.Observer", "djust_uploads.UploadEntry", "djust_uploads.lifecycle.observer.Nobody"]


@pytest.mark.parametrize("path", WRONG)
async def test_an_observer_that_can_not_be_created(path, caplog):
    with observing(path):
        assert path in checked()["djust_uploads.E015"]
        async with Connection() as page:
            assert (await page.upload(bytes(1000)))["status"] == "complete"
    assert f"the observer {path} can't be created" in caplog.text


def test_the_setting_is_a_list():
    with override_settings(DJUST_UPLOADS={"OBSERVERS": "a.b"}):
        assert "a list of import paths. Got: 'a.b'" in checked()["djust_uploads.E003"]


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("PrometheusMetrics", "prometheus_client", "prometheus"),
        ("OpenTelemetrySpans", "opentelemetry", "opentelemetry"),
    ],
)
def test_a_missing_library_says_what_to_install(name, library, extra):
    code = f"""
import sys
sys.modules[{library!r}] = None
from django.conf import settings
path = "djust_uploads.observability.{name}"
settings.configure(DJUST_UPLOADS={{"OBSERVERS": [path]}}, INSTALLED_APPS=["djust_uploads"])
import django
django.setup()
from django.core.checks import run_checks
print(run_checks(tags=["djust_uploads"]))
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"pip install 'djust-uploads[{extra}]'" in done.stdout


def test_the_core_imports_no_library_of_observers():
    code = """
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["djust_uploads"])
django.setup()
import djust_uploads.doors.channels, djust_uploads.uploads.manager
print(*sys.modules)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "djust_uploads.lifecycle.notifying" in loaded
    for name in ("prometheus_client", "opentelemetry.trace", "djust_uploads.observability"):
        assert name not in loaded
