"""The examples' own tests pass, as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.servers import ROOT


@pytest.mark.parametrize("example", ["custom_sink", "http_sink"])
def test_example(example):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT / "examples" / example,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_walk_through_shows_the_example_as_it_is():
    example = ROOT / "examples" / "custom_sink"
    code = (example / "sink.py").read_text() + (example / "test_sink.py").read_text()
    page = (ROOT / "docs" / "custom-sinks.md").read_text()
    shown = "".join(re.findall(r"```python\n(.*?)```", page, re.S))
    assert stripped(shown) <= stripped(code)


def stripped(text):
    return {line.strip() for line in text.splitlines()}
