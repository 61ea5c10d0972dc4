"""``python -m djust_uploads.testing check``: the contract without a test file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from djust_uploads.testing.__main__ import main

WRONG = """
from djust_uploads import MemorySink

class Forgetful(MemorySink):
    async def sweep(self, older_than, *, dry_run=False):
        return None
"""


def check(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "-m", "djust_uploads.testing", "check", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_right_sink_passes_with_its_options(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    sink = "djust_uploads.sinks.TemporaryFileSink"
    only = "test_size or test_resume_twice or sweep"
    done = check(sink, f"directory={uploads}", "permissions=416", "-k", only, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TestTemporaryFileSink::test_resume_twice_from_one_checkpoint PASSED" in done.stdout
    assert list(uploads.iterdir()) == []


HOOKS = """
from pathlib import Path

def damage(sink, by):
    for path in sink.directory.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:by] if by < 0 else content + b"?")

def leftovers(sink):
    return [path.name for path in sink.directory.iterdir()]
"""


def test_hooks_are_functions_of_the_sink(tmp_path):
    (tmp_path / "hooks.py").write_text(HOOKS)
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    hooks = ("--damage-store", "hooks.damage", "--leftovers", "hooks.leftovers")
    sink = ("djust_uploads.sinks.TemporaryFileSink", f"directory={uploads}")
    done = check(*sink, *hooks, "-k", "damage or test_delete", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_damage_is_found_by_resume[longer-finished] PASSED" in done.stdout


def test_a_wrong_sink_fails_with_a_sentence(tmp_path):
    (tmp_path / "mine.py").write_text(WRONG)
    done = check("mine.Forgetful", "-k", "test_size", cwd=tmp_path)
    assert done.returncode == 1
    assert "must return a list of names. Got: None" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["djust_uploads.sinks.NoSuchSink"], "NoSuchSink"),
        (["djust_uploads.sinks.TemporaryFileSink", "directory"], "write name=value"),
        (["djust_uploads.sinks.TemporaryFileSink", "folder=x"], "unexpected keyword argument"),
        (["djust_uploads.sinks.TemporaryFileSink", 'permissions="x"'], "must be mode bits"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "module, arguments",
    [
        ("pytest", ["djust_uploads.testing", "check", "djust_uploads.sinks.MemorySink"]),
        ("httpx", ["djust_uploads.testing.tus", "http://localhost/uploads/"]),
    ],
)
def test_a_missing_package_is_named(module, arguments):
    package, *options = arguments
    code = f"""
import runpy, sys
sys.modules[{module!r}] = None
sys.argv[1:] = {options!r}
runpy.run_module({package!r}, run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"pip install {module}" in done.stderr
