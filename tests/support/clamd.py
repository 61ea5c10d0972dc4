"""A real clamd, with a signature file made by hand that knows only EICAR's test file."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: https://www.eicar.org/download-anti-malware-testfile/: every scanner takes it for a virus. It
#: stands here in two halves, so that no scanner takes this file for it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"

#: Bytes that the server takes of one stream.
STREAM_MAX = 1024 * 1024


@dataclass
class Clamd:
    """A running clamd. ``path`` is its socket."""

    path: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(10)


@contextlib.contextmanager
def clamd(directory: Path) -> Iterator[Clamd]:
    """Run a clamd of its own in ``directory``."""
    database = directory / "database"
    database.mkdir(parents=True)
    signature = EICAR.hex()
    # Type 0 is any file, and * any offset: https://docs.clamav.net/manual/Signatures/ExtendedSignatures.html
    (database / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{signature}\n")
    path = directory / "clamd.sock"
    configuration = directory / "clamd.conf"
    configuration.write_text(
        f"LocalSocket {path}\nDatabaseDirectory {database}\nForeground yes\n"
        f"StreamMaxLength {STREAM_MAX}\nUser root\nLogFile {directory / 'clamd.log'}\n"
    )
    executable = shutil.which("clamd") or "/usr/sbin/clamd"
    process = subprocess.Popen(
        [executable, "--config-file", configuration], stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(path)
        yield Clamd(str(path), process)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(path: Path) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return
        time.sleep(0.02)
    raise TimeoutError(f"clamd does not listen at {path}")
