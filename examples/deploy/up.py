"""Run a whole site on this machine: nginx, two workers, Redis, clamd and Prometheus.

    python examples/deploy/up.py [--port 8443] [--directory examples/deploy/run]
    python examples/deploy/up.py restart worker1

The first command runs until Ctrl-C. It writes everything into its directory, and starts again what
ends. The second command restarts one program, and returns when the program answers again. What the
programs need is in Debian's packages: apt install nginx-light redis-server clamav-daemon prometheus
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine import HERE, Machine

#: Debian keeps some programs where only root's PATH leads.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

#: Seconds that a program may take until it answers, and until it has ended.
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0

#: Seconds before a program that has ended is started again.
RESTART_PAUSE = 0.2


@dataclass
class Program:
    """One program, which is up when ``answers()`` returns ``True``."""

    name: str
    command: list[str]
    answers: Callable[[], bool]
    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    process: subprocess.Popen[bytes] | None = None
    is_up: bool = False

    @property
    def pid_file(self) -> Path:
        """The file with the process id, which is there while the program is up."""
        return self.directory / "pids" / self.name

    def start(self) -> None:
        with (self.directory / "logs" / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=HERE,
                env={**os.environ, **self.environ, "PATH": PATH},
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this script, which ends the programs in order.
                start_new_session=True,
            )

    def tend(self) -> None:
        """Start the program again if it has ended, and say so when it is up."""
        assert self.process
        if self.process.poll() is not None:
            self._is_down()
            self._kill_group()
            say(f"{self.name} has ended. It is started again.")
            time.sleep(RESTART_PAUSE)
            self.start()
        elif not self.is_up and self.answers():
            self.is_up = True
            self.pid_file.write_text(str(self.process.pid))
            say(f"{self.name} is up.")

    def end(self) -> None:
        self._is_down()
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self.process.wait()

    def _kill_group(self) -> None:
        """Kill what a program has left: the children of an nginx that was killed keep its port."""
        assert self.process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _is_down(self) -> None:
        self.is_up = False
        self.pid_file.unlink(missing_ok=True)


def say(text: str) -> None:
    print(text, flush=True)


# How to find out whether a program is up.


def gets(port: int, path: str) -> bool:
    """Whether a server answers a request without an error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status < 400
    return False


def says(address: tuple[str, int] | str, question: bytes, answer: bytes) -> bool:
    """Whether a program at a port or a Unix socket answers a question as it should."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family) as connection:
        connection.settimeout(5)
        connection.connect(address)
        connection.sendall(question)
        return connection.recv(100).startswith(answer)
    return False


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


# The programs.


def programs(machine: Machine) -> Iterator[Program]:
    """Yield the programs in the order in which they start. They end in the reverse order."""
    directory, ports = machine.directory, machine.ports
    yield Program(
        "redis",
        ["redis-server", machine.path("redis.conf")],
        lambda: says(("127.0.0.1", ports["6379"]), b"PING\r\n", b"+PONG"),
        directory,
    )
    yield Program(
        "clamd",
        ["clamd", "--foreground=true", f"--config-file={machine.path('clamd.conf')}"],
        lambda: says(str(directory / "clamd.sock"), b"zPING\0", b"PONG"),
        directory,
    )
    for name, port in (("worker1", "8001"), ("worker2", "8002")):
        yield worker(name, port, machine)
    yield Program(
        "nginx",
        [
            *("nginx", "-e", str(directory / "logs" / "nginx-error.log")),
            *("-c", machine.path("nginx.conf"), "-g", "daemon off;"),
        ],
        lambda: listens(ports["443"]),
        directory,
    )
    if shutil.which("prometheus", path=PATH):
        yield prometheus(machine)


def worker(name: str, port: str, machine: Machine) -> Program:
    """Return a worker. Its command is that of the systemd unit."""
    unit = (HERE / "systemd" / "mysite@.service").read_text()
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    command = machine.adapted(command.replace("%i", port))
    ours = machine.ports[port]
    return Program(
        name, shlex.split(command), lambda: gets(ours, "/ready"), machine.directory, machine.environ
    )


def prometheus(machine: Machine) -> Program:
    port = machine.ports["9090"]
    options = [
        f"--config.file={machine.path('prometheus.yml')}",
        f"--storage.tsdb.path={machine.directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    return Program(
        "prometheus",
        ["prometheus", *options],
        lambda: gets(port, "/-/ready"),
        machine.directory,
    )


# The commands.


def up(directory: Path, port: int) -> int:
    """Start everything, start again what ends, and end everything at Ctrl-C."""
    if missing := missing_packages():
        raise SystemExit(f"Something is missing: apt install {' '.join(missing)}")
    machine = Machine(directory, port)
    if busy := [port for port in machine.ports.values() if listens(port)]:
        raise SystemExit(f"Port {busy[0]} is in use. Choose others: --port 9443")
    directory.mkdir(parents=True, exist_ok=True)
    # A terminal that is closed sends SIGHUP.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    with locked(directory) as alone:
        if not alone:
            raise SystemExit(f"The site in {directory} is up already.")
        running: list[Program] = []
        try:
            machine.prepare()
            running.extend(programs(machine))
            supervise(running, machine)
        except KeyboardInterrupt:
            say("Everything ends.")
        finally:
            for program in reversed(running):
                program.end()
    return 0


def supervise(running: list[Program], machine: Machine) -> None:
    for program in running:
        program.start()
    give_up_at = time.monotonic() + START_TIMEOUT
    announced = False
    while True:
        for program in running:
            program.tend()
        if not announced and all(program.is_up for program in running):
            announced = True
            announce(machine)
        if not announced and time.monotonic() > give_up_at:
            names = ", ".join(program.name for program in running if not program.is_up)
            raise SystemExit(f"No answer from {names}. See {machine.directory / 'logs'}.")
        time.sleep(0.1)


def announce(machine: Machine) -> None:
    say(f"The site:     https://localhost:{machine.ports['443']}/")
    if shutil.which("prometheus", path=PATH):
        say(f"Prometheus:   http://localhost:{machine.ports['9090']}/")
    else:
        say("Prometheus is not installed, so nobody collects the metrics: apt install prometheus")
    say(f"Certificate:  {machine.directory / 'tls' / 'cert.pem'}")
    say("Ctrl-C ends everything.")


def missing_packages() -> list[str]:
    packages = {
        "nginx": "nginx-light",
        "redis-server": "redis-server",
        "clamd": "clamav-daemon",
        "openssl": "openssl",
    }
    return [package for name, package in packages.items() if not shutil.which(name, path=PATH)]


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """Hold the lock of a site that is up, and yield whether nobody else holds it."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def restart(directory: Path, name: str) -> int:
    """Send a program SIGTERM, and return when it is up again.

    A worker drains: it closes its sockets, and saves the uploads that are interrupted.
    """
    pid_file = directory / "pids" / name
    with locked(directory) as alone:
        if alone:
            raise SystemExit(f"No site is up in {directory}.")
    before = pid_of(pid_file)
    if before is None:
        raise SystemExit(f"{name} is not up.")
    os.kill(before, signal.SIGTERM)
    give_up_at = time.monotonic() + STOP_TIMEOUT + START_TIMEOUT
    while pid_of(pid_file) in (None, before):
        if time.monotonic() > give_up_at:
            raise SystemExit(f"{name} does not come back. See {directory / 'logs'}.")
        time.sleep(0.05)
    return 0


def pid_of(path: Path) -> int | None:
    """Return the process id in a file, or ``None`` if the file is missing or not written yet."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--directory", type=Path, default=HERE / "run", help="where all files go")
    parser.add_argument("--port", type=int, default=8443, help="the first of five ports")
    commands = parser.add_subparsers(dest="command")
    restarting = commands.add_parser("restart", help="restart one program, with drain")
    restarting.add_argument("name")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    if arguments.command == "restart":
        return restart(directory, arguments.name)
    return up(directory, arguments.port)


if __name__ == "__main__":
    sys.exit(main())
