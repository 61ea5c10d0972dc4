"""What the programs of the site need: a directory with their configuration and their data."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: The files that a machine gets, here with the paths and ports of this example.
TEMPLATES = (
    "environment",
    "nginx.conf",
    "redis.conf",
    "clamd.conf",
    "prometheus.yml",
    "alerts.yml",
)

#: Which port of the files is which of ours, counted from ``--port``.
PORTS = {"443": 0, "8001": 1, "8002": 2, "6379": 3, "9090": 4}


class Machine:
    """A directory that stands for a machine: the files of this example say ``/srv/mysite``."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.ports = {number: port + place for number, place in PORTS.items()}
        user = getpass.getuser()
        self._values = {
            "/srv/mysite/venv/bin/python": sys.executable,
            "/srv/mysite": str(directory),
            "/var/lib/clamav": str(directory / "clamav"),
            # The example is for this machine alone.
            "listen 443": f"listen 127.0.0.1:{port}",
            "user www-data;": f"user {user};",
            "User clamav": f"User {user}",
            "uploads.example.com": "localhost",
            "change-me": self._secret_key(),
            **{number: str(port) for number, port in self.ports.items()},
        }

    def _secret_key(self) -> str:
        """Return the key of the last run. With a new one, signed receipts would be worthless."""
        with contextlib.suppress(FileNotFoundError):
            return read_environment(self.directory / "etc" / "environment")["SECRET_KEY"]
        return secrets.token_urlsafe(50)

    def adapted(self, text: str) -> str:
        """Return a file of this example with our directory, ports and user."""
        names = "|".join(map(re.escape, self._values))
        return re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda found: self._values[found[0]], text)

    def path(self, name: str) -> str:
        """Return the path of a configuration file."""
        return str(self.directory / "etc" / name)

    def prepare(self) -> None:
        """Write the configuration, and what is made once for each machine."""
        for name in ("etc", "logs", "pids", "redis", "clamav", "nginx", "tls", "media", "uploads"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for name in TEMPLATES:
            Path(self.path(name)).write_text(self.adapted((HERE / name).read_text()))
        Path(self.path("environment")).chmod(0o600)
        self._make_certificate()
        self._make_signatures()
        for command in ("migrate", "collectstatic"):
            self._manage(command, "--no-input", "--verbosity", "0")

    def _make_certificate(self) -> None:
        """Make a certificate that only those trust who are told to. A real site has another one."""
        certificate, key = self.directory / "tls" / "cert.pem", self.directory / "tls" / "key.pem"
        if certificate.exists():
            return
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 "
            "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        )
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*command.split(), *files], check=True, capture_output=True)

    def _make_signatures(self) -> None:
        """Let clamd know one virus, the test file of EICAR. It needs no network for that.

        The signature is written in two halves, so that no scanner takes this file for a virus.
        """
        eicar = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
        # Type 0 is any file, and * any offset:
        # https://docs.clamav.net/manual/Signatures/ExtendedSignatures.html
        signature = f"Eicar-Test-Signature:0:*:{eicar.hex()}\n"
        (self.directory / "clamav" / "example.ndb").write_text(signature)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the workers and of ``manage.py``."""
        paths = [str(HERE.parent.parent), str(HERE)]
        return {
            **read_environment(Path(self.path("environment"))),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def _manage(self, *arguments: str) -> None:
        environ = {**os.environ, **self.environ}
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=HERE, env=environ, check=True)


def read_environment(path: Path) -> dict[str, str]:
    """Return the variables of a file as systemd reads it."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
