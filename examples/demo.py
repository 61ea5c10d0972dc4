"""Run the example projects, and the stores that their galleries offer.

    python examples/demo.py [PORT]

Each server has a port of its own: PORT and those after it, in the order of ``NAMES``. A server that
ends is started again.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = Path(__file__).parent
BUCKET = "gallery"

#: tests/npm.sh installs Uppy there, beside this Python.
NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"

#: The page of the site "http" is Uppy's.
SITES = ["djust", "channels", *(["http"] if NODE_MODULES.exists() else [])]
#: New servers come last, so that they do not move the ports of the others.
NAMES = ["djust", "channels", "s3", "gcs", "http"]

#: Seconds that a server may take until it answers.
START_TIMEOUT = 30.0

#: Seconds before a server that has ended is started again.
RESTART_PAUSE = 0.5


@dataclass
class Server:
    """One server of the demo. It is up when it answers ``request``, a method and a path."""

    name: str
    port: int
    command: list[str]
    request: tuple[str, str]
    directory: Path = EXAMPLES
    environ: dict[str, str] = field(default_factory=dict)
    #: Whether its own messages are for the terminal.
    speaks: bool = True

    def start(self) -> bool:
        """Start the server, and return whether it answers."""
        output = None if self.speaks else subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command,
            cwd=self.directory,
            env={**os.environ, **self.environ},
            stdout=output,
            stderr=output,
        )
        give_up_at = time.monotonic() + START_TIMEOUT
        while time.monotonic() < give_up_at and not self.has_ended:
            if answers(self.port, *self.request):
                return True
            time.sleep(0.1)
        return False

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def restart(self) -> None:
        """Start a server again that has ended. If it does not answer, it is ended, so that the
        caller finds it ended and calls this method once more."""
        print(f"The {self.name} server has ended. It is started again.", flush=True)
        time.sleep(RESTART_PAUSE)
        if self.start():
            print(f"The {self.name} server is up again.", flush=True)
        else:
            self.end()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def answers(port: int, method: str, path: str) -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, path)
        return connection.getresponse().status < 400
    return False


def s3_server(port: int) -> Server:
    """moto keeps everything in memory, so it is empty when it starts. The request that asks whether
    it is up creates the bucket."""
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    return Server("s3", port, command, ("PUT", f"/{BUCKET}"), speaks=False)


def gcs_server(port: int) -> Server:
    """An emulator of Google Cloud Storage, which keeps everything in memory."""
    program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
    options = ["--in-memory", "--host=localhost", f"--port={port}", f"--default-bucket={BUCKET}"]
    return Server("gcs", port, [program, "start", *options], ("GET", "/"), speaks=False)


def site(name: str, port: int, stores: dict[str, str]) -> Server:
    """An example project on uvicorn. ``stores`` is the environment that tells it of the stores."""
    # Photos don't get smaller when they are compressed again.
    options = ["--ws-per-message-deflate", "false", "--lifespan", "off", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", f"site_{name}.asgi:application", *options]
    environ = {
        "PYTHONPATH": str(EXAMPLES.parent),
        # Django warns that its own view of media files is synchronous.
        "PYTHONWARNINGS": "ignore:StreamingHttpResponse",
        "NODE_MODULES": str(NODE_MODULES),
        **stores,
    }
    return Server(
        name,
        port,
        [*command, "--port", str(port)],
        ("GET", "/gallery/"),
        EXAMPLES / f"{name}_site",
        environ,
    )


def servers(ports: dict[str, int]) -> list[Server]:
    """Return the servers in the order in which they start: the sites need the stores."""
    stores = {
        "DEMO_S3_ENDPOINT": f"http://localhost:{ports['s3']}",
        # The SDK looks for the emulator there.
        "STORAGE_EMULATOR_HOST": f"http://localhost:{ports['gcs']}",
    }
    return [
        s3_server(ports["s3"]),
        gcs_server(ports["gcs"]),
        *(site(name, ports[name], stores) for name in SITES),
    ]


def run(running: list[Server]) -> None:
    """Start the servers, say where they are, and start those again that end."""
    for server in running:
        if not server.start():
            raise SystemExit(f"The {server.name} server does not answer at port {server.port}.")
    for server in sorted(running, key=lambda server: server.port):
        path = "gallery/" if server.name in SITES else BUCKET
        print(f"{server.name:<10}http://localhost:{server.port}/{path}")
    print("Ctrl-C ends all of them.", flush=True)
    while True:
        for server in running:
            if server.has_ended:
                server.restart()
        time.sleep(0.2)


def taken(port: int) -> bool:
    with socket.socket() as probe:
        # The servers set this option too. With it, a port can be used again at once.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def main() -> int:
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ports = {name: first + place for place, name in enumerate(NAMES)}
    if busy := [port for port in ports.values() if taken(port)]:
        raise SystemExit(
            f"Port {busy[0]} is in use, and the demo needs {first} to {first + len(ports) - 1}. "
            f"Choose others: make demo PORT=9000"
        )
    # Servers that outlive this process would keep the ports. A terminal that is closed sends
    # SIGHUP.
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    running = servers(ports)
    try:
        run(running)
    except KeyboardInterrupt:
        pass
    finally:
        for server in running:
            if hasattr(server, "process"):
                server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
