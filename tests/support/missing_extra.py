"""A site in an environment without one of the extras."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.support.servers import ROOT

SCRIPT = """
import sys
sys.modules[{module!r}] = None
import django
from django.conf import settings
settings.configure(
    DJUST_UPLOADS={{"SINKS": {{"media": {{"BACKEND": {backend!r}, "OPTIONS": {options!r}}}}}}},
    INSTALLED_APPS=["djust_uploads"],
)
django.setup()
from djust_uploads.conf import sinks
from djust_uploads.exceptions import InvalidSink
from django.core.management import call_command
import djust_uploads.sinks
assert sinks["default"].keeps_files is False
try:
    sinks["media"]
except InvalidSink as exc:
    print(exc)
try:
    call_command("check")
except Exception as exc:
    print(exc)
print(*sys.modules)
"""


def without(module: str, sink: str, **options: Any) -> str:
    """What a site prints that has ``sink`` configured and can't import ``module``: the error of the
    sink, that of ``manage.py check``, and the modules that were imported."""
    backend = f"djust_uploads.sinks.{sink}"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c"),
            SCRIPT.format(module=module, backend=backend, options=options),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return done.stdout
