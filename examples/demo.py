"""Runs both example projects, and the stores that their galleries offer.

    python examples/demo.py [PORT]

The servers use PORT and the ports after it, in the order of ``SERVERS``. The default is 8000.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent
BUCKET = "gallery"

SITES = ["djust", "channels"]
#: The stores come after the sites, so that another store does not change the sites' ports.
SERVERS = [*SITES, "s3", "gcs"]


def taken(port: int) -> bool:
    """Return whether another process uses the port."""
    with socket.socket() as probe:
        # The servers set this option too. With it, a port counts as free although the system still
        # remembers its last connections.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def wait_for(name: str, process: subprocess.Popen[bytes], port: int, *request: str) -> None:
    """Wait until the server answers ``request``, which is a method and a path.

    Raises ``SystemExit`` if the server ends or does not answer for 30 seconds.
    """
    for _ in range(300):
        if answers(port, *request):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"The {name} server does not answer at port {port}.")


def answers(port: int, method: str, path: str) -> bool:
    """Return whether a server answers a request without an error."""
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, path)
        return connection.getresponse().status < 400
    return False


class Demo:
    """Starts and ends the servers.

    ``environ`` are the environment variables that tell the sites about the stores.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environ: dict[str, str] = {}

    def start_s3(self) -> None:
        """Start moto's server, which keeps all objects in memory until it ends."""
        port = self.ports["s3"]
        command = [sys.executable, "-m", "moto.server", "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes["s3"] = server
        wait_for("s3", server, port, "PUT", f"/{BUCKET}")
        self.environ["DEMO_S3_ENDPOINT"] = f"http://localhost:{port}"

    def start_gcs(self) -> None:
        """Start an emulator of Google Cloud Storage, which keeps all objects in memory.

        Google's SDK finds it by the variable ``STORAGE_EMULATOR_HOST``.
        """
        port = self.ports["gcs"]
        program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
        options = [
            "--in-memory",
            "--host=localhost",
            f"--port={port}",
            f"--default-bucket={BUCKET}",
        ]
        server = subprocess.Popen(
            [program, "start", *options, f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes["gcs"] = server
        wait_for("gcs", server, port, "GET", "/")
        self.environ["STORAGE_EMULATOR_HOST"] = f"http://localhost:{port}"

    def start_site(self, host: str) -> None:
        # To compress messages takes time, and does not make photos smaller.
        options = ["--ws-per-message-deflate", "false", "--lifespan", "off"]
        command = [sys.executable, "-m", "uvicorn", f"site_{host}.asgi:application", *options]
        self.processes[host] = subprocess.Popen(
            [*command, "--log-level", "warning", "--port", str(self.ports[host])],
            cwd=EXAMPLES / f"{host}_site",
            env={
                **os.environ,
                "PYTHONPATH": str(EXAMPLES.parent),
                # Django's own view of media files is synchronous, of which Django warns.
                "PYTHONWARNINGS": "ignore:StreamingHttpResponse",
                **self.environ,
            },
        )

    def run(self) -> str:
        """Run all servers until one of them ends, and return its name."""
        self.start_s3()
        self.start_gcs()
        for host in SITES:
            self.start_site(host)
        for host in SITES:
            wait_for(host, self.processes[host], self.ports[host], "GET", "/gallery/")
            print(f"{host:<10}http://localhost:{self.ports[host]}/gallery/")
        print(f"S3 server {self.environ['DEMO_S3_ENDPOINT']}/{BUCKET}")
        print(f"GCS       {self.environ['STORAGE_EMULATOR_HOST']}/{BUCKET}")
        print("Ctrl-C ends all of them.", flush=True)
        while not (ended := [name for name, p in self.processes.items() if p.poll() is not None]):
            time.sleep(0.2)
        return ended[0]

    def end(self) -> None:
        """End all servers."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> int:
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ports = {name: first + place for place, name in enumerate(SERVERS)}
    if busy := [port for port in ports.values() if taken(port)]:
        raise SystemExit(
            f"Port {busy[0]} is in use, and the demo needs {first} to {first + len(ports) - 1}. "
            f"Choose others: make demo PORT=9000"
        )
    # These signals must end the servers as Ctrl-C does, because servers that outlive this process
    # keep their ports. A closed terminal sends SIGHUP.
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    demo = Demo(ports)
    try:
        raise SystemExit(f"The {demo.run()} server has ended.")
    except KeyboardInterrupt:
        return 0
    finally:
        demo.end()


if __name__ == "__main__":
    sys.exit(main())
