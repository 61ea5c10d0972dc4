"""A process that has imported what servers need, and forks into one when it is told to.

Most of a server's first second is spent on imports. The tests start more than a hundred servers.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from tests.support.static_files import send_from_memory

#: None of them reads Django's settings or starts anything when it is imported, as daphne does. Some
#: are extras that may be missing.
MODULES = (
    *("django.contrib.sessions.backends.signed_cookies", "django.contrib.staticfiles.handlers"),
    *("django.core.asgi", "django.core.cache", "django.core.management", "django.forms"),
    *("django.db.backends.sqlite3.base", "django.template.defaultfilters", "django.urls"),
    *("django.views.generic", "channels.generic.websocket", "channels.routing"),
    *("channels.sessions", "magic", "redis", "uvicorn.main", "websockets"),
    *("aioboto3", "google.cloud.storage", "obstore"),
)


class Forked:
    """A process that was forked for us: what the tests use of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)

    def poll(self) -> int | None:
        """Return ``None`` while the process runs. How it ended is not known: then return 0."""
        return None if self._process.is_running() else 0

    def wait(self, timeout: float | None = None) -> None:
        try:
            self._process.wait(timeout)
        except psutil.TimeoutExpired as exc:
            raise subprocess.TimeoutExpired(f"process {self.pid}", exc.seconds) from exc

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        # As Popen does, for a process that has ended already.
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)


class Preloaded:
    """The process that forks. It starts with the first :meth:`run` and ends with ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, module: str, *args: str, log: Path, env: dict[str, str], cwd: Path) -> Forked:
        """Do what ``python -m module args`` does, with the output appended to ``log``."""
        task = {"module": module, "args": args, "log": str(log), "env": env, "cwd": str(cwd)}
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=Path(__file__).parent.parent.parent,
                )
            assert self._process.stdin and self._process.stdout
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            return Forked(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process. Those that it forked go on."""
        if self._process:
            self._process.communicate()
            self._process = None


def main() -> None:
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # The system reaps the children that end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            return _become(json.loads(line))
        print(pid, flush=True)
    return None


def _become(task: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(task["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, descriptor)
    os.environ.clear()
    os.environ.update(task["env"])
    os.chdir(task["cwd"])
    sys.path[:1] = [task["cwd"], *task["env"]["PYTHONPATH"].split(os.pathsep)]
    sys.argv = [task["module"], *task["args"]]
    send_from_memory()
    runpy.run_module(task["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
