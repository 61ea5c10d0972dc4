"""A small file system for one server. It goes with the server's process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.servers import Server

#: As root, a process may mount what it likes. Others may in a name space of their own, if the
#: system lets them.
_NAMESPACES = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


def small_disk(directory: Path, size: int) -> list[str]:
    """Return the command that runs another one with a disk of ``size`` bytes at ``directory``.

    Nobody but that process sees the disk. Skips the test where nobody may mount one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
    for namespace in _NAMESPACES:
        tried = subprocess.run([*namespace, *mount, directory], stderr=subprocess.DEVNULL)
        if tried.returncode == 0:
            script = f'{" ".join(mount)} "$0" && exec "$@"'
            return [*namespace, "sh", "-c", script, str(directory)]
    pytest.skip("neither root nor a user name space may mount a file system here")


class Disk:
    """The disk at the directory of a server's uploads."""

    def __init__(self, site: Server) -> None:
        # https://man7.org/linux/man-pages/man5/proc_pid_root.5.html: the file system as the process
        # sees it.
        self._root = Path(f"/proc/{site.process.pid}/root{site.uploads}")

    @property
    def free(self) -> int:
        """Bytes."""
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    @property
    def files(self) -> list[Path]:
        return [path for path in self._root.rglob("*") if path.is_file()]

    def empty(self) -> None:
        """Delete all files, as the application may do with its own, though they may be open."""
        for path in self.files:
            os.truncate(path, 0)
            path.unlink()
