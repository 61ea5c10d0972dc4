"""Real ASGI servers in processes of their own, and what can be measured of them from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from tests.support.preloaded import Forked, Preloaded

ROOT = Path(__file__).parent.parent.parent

#: Forks the servers of the tests. Benchmarks leave it unset, and start each server afresh.
preloaded: Preloaded | None = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> int:
    """Return the first of ``count`` free ports in a row."""
    for first in range(20_000, 30_000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise RuntimeError("no free ports")


async def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether ``condition()`` comes true within so many seconds."""
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return bool(condition())


class Server:
    """A running ASGI application: ``server.ws("/ws/")``, ``server.http("/")``.

    After :meth:`kill` or :meth:`terminate`, :meth:`start` runs it again, at the same port and with
    the same environment. These three block; a test whose loop others need calls them in a thread.
    """

    def __init__(
        self, command: list[str], port: int, uploads: Path, environment: dict[str, str], cwd: Path
    ) -> None:
        self.port = port
        self.uploads = uploads
        self.log = uploads.parent / f"{uploads.name}-{port}.log"
        self._command = command
        self._environment = environment
        self._cwd = cwd

    def start(self) -> None:
        """Returns when it listens. The one before, if it killed itself, ends first."""
        if hasattr(self, "process"):
            self.process.wait(10)
        self.process = self._started()
        _wait_until_up(self.process, self.port, self.log)

    def _started(self) -> subprocess.Popen[bytes] | Forked:
        # What is not Python, is not preloaded.
        if preloaded and self._command[:2] == [sys.executable, "-m"]:
            _python, _m, module, *args = self._command
            return preloaded.run(module, *args, log=self.log, env=self._environment, cwd=self._cwd)
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """SIGKILL: it ends in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds: float = 10.0) -> bool:
        """SIGTERM; whether it ends by itself within so many seconds."""
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def temporary_files(self) -> list[str]:
        return sorted(path.name for path in self.uploads.iterdir())

    async def no_temporary_files(self, seconds: float = 1.0) -> bool:
        """Whether the last temporary file goes within so many seconds."""
        return await wait_until(lambda: not self.temporary_files(), seconds)

    def memory(self) -> int:
        """Resident bytes now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def peak_memory(self) -> int:
        """Resident bytes at most since :meth:`reset_peak`, as the kernel counted them."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmHWM")

    def cpu_seconds(self) -> float:
        """What the process has used so far, all its threads."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def reset_peak(self) -> None:
        """https://docs.kernel.org/filesystems/proc.html: writing 5 to clear_refs resets VmHWM."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def command(server: str, application: str, port: int) -> list[str]:
    if server == "uvicorn":
        options = ["--port", str(port), "--ws-per-message-deflate", "false", "--lifespan", "off"]
        return [sys.executable, "-m", "uvicorn", application, *options, "--log-level", "warning"]
    if server == "hypercorn":
        # Without workers it serves in the process that we measure.
        options = ["-b", f"127.0.0.1:{port}", "--workers", "0"]
        return [sys.executable, "-m", "hypercorn", *options, application]
    return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application]


@contextlib.contextmanager
def serve(
    application: str,
    uploads: Path,
    *,
    server: str = "uvicorn",
    options: Sequence[str] = (),
    within: Sequence[str] = (),
    cwd: Path = ROOT,
    **environ: str,
) -> Iterator[Server]:
    """Run ``application`` until the end of the block. Its temporary files go to ``uploads``, which
    several servers may share. ``within`` is a command that becomes the server's."""
    uploads.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # A site chooses its settings itself; the tests' own are not for it.
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    environment = {
        **inherited,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{cwd}",
        "UPLOAD_DIRECTORY": str(uploads),
        **environ,
    }
    started = [*within, *command(server, application, port), *options]
    running = Server(started, port, uploads, environment, cwd)
    try:
        running.start()
        yield running
    finally:
        running.terminate()


def _wait_until_up(process: subprocess.Popen[bytes] | Forked, port: int, log: Path) -> None:
    for _ in range(1500):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server is not up: {log.read_text()}")
