from __future__ import annotations

import os
import subprocess
import sys

import pytest

import djust_uploads
from tests.support.servers import ROOT

EXPECTED = [
    "GCSSink",
    "LocalFile",
    "MemoryFile",
    "MemorySink",
    "ObjectStoreSink",
    "S3Sink",
    "Sink",
    "SinkFile",
    "SinkWriter",
    "StorageSink",
    "TemporaryFileSink",
    "UploadConsumer",
    "UploadEndpoint",
    "UploadEntry",
    "UploadError",
    "UploadInfo",
    "UploadMixin",
    "UploadSlot",
    "ValidationFailed",
    "Validator",
    "__version__",
    "event_handler",
]

#: Name → its SDK and its extra.
NEEDING_AN_SDK = {
    "GCSSink": ("google.cloud", "gcs"),
    "ObjectStoreSink": ("obstore", "obstore"),
    "S3Sink": ("aioboto3", "s3"),
}


def python(code: str) -> str:
    """What ``code`` prints in a process without Django settings."""
    environ = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all():
    assert sorted(djust_uploads.__all__) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_name_is_there(name):
    assert getattr(djust_uploads, name) is not None


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'UploadWriter'"):
        _ = djust_uploads.UploadWriter


def test_importing_needs_no_settings_and_nothing_heavy():
    loaded = python(
        "import sys, djust_uploads; djust_uploads.__version__; print(*sys.modules, sep='\\n')"
    ).split()
    for name in ("djust", "django", "channels", "aioboto3", "google.cloud", "obstore", "magic"):
        assert name not in loaded


def test_every_public_name_can_be_imported_without_settings():
    names = ", ".join(name for name in EXPECTED if not name.startswith("_"))
    assert python(f"from djust_uploads import {names}; print('fine')") == "fine\n"


def test_public_names_need_no_djust_and_no_sdk():
    names = [name for name in EXPECTED if name[0] != "_" and name not in NEEDING_AN_SDK]
    code = f"""
import sys
for name in ("djust", "aioboto3", "google", "obstore", "websockets"):
    sys.modules[name] = None
from djust_uploads import {", ".join(names)}
import djust_uploads.testing
print("fine")
"""
    assert python(code) == "fine\n"


@pytest.mark.parametrize("name", NEEDING_AN_SDK)
def test_naming_a_sink_without_its_sdk_says_what_to_install(name):
    sdk, extra = NEEDING_AN_SDK[name]
    code = f"""
import sys
sys.modules["{sdk}"] = None
import djust_uploads
from djust_uploads.exceptions import InvalidSink
try:
    djust_uploads.{name}
except InvalidSink as error:
    print(error)
"""
    assert f"pip install 'djust-uploads[{extra}]'" in python(code)


def test_star_import_is_all():
    code = "from djust_uploads import *; print(*sorted(n for n in dir() if n[0] != '_'))"
    assert python(code).split() == [name for name in sorted(EXPECTED) if name[0] != "_"]
