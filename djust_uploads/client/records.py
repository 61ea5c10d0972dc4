"""What a client remembers of unfinished uploads, so that it can go on in another process.

There is a small file for each upload, in the directory for state that the system has for programs.
Each is named after the endpoint and the file, so that processes with other files don't meet.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import platformdirs

#: Seconds after which a record is thrown away. Few servers keep unfinished uploads for so long.
MAX_AGE = 30 * 24 * 3600


class Record:
    """Where the upload of one file to one endpoint is. All methods block, but shortly."""

    def __init__(self, endpoint: str, fingerprint: tuple[Any, ...], directory: Path | None) -> None:
        self.directory: Path = directory or platformdirs.user_state_path("djust_uploads", False)
        self._key = [endpoint, *fingerprint]
        name = hashlib.sha256(json.dumps(self._key).encode()).hexdigest()
        self._path = self.directory / f"{name}.json"

    def find(self) -> str | None:
        """Return the upload's URL; ``None`` if nothing is known, or what is known is damaged."""
        try:
            record = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        known = isinstance(record, dict) and record.get("key") == self._key
        return str(record["url"]) if known and "url" in record else None

    def keep(self, url: str) -> None:
        """Remember the upload's URL. It may be a capability, so that only the user can read it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._drop_old()
        new = self._path.with_suffix(f".{os.getpid()}")
        with open(new, "w", opener=_private) as file:
            json.dump({"key": self._key, "url": url}, file)
        # At once: a process that is killed leaves the old record or the new one.
        new.replace(self._path)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def _drop_old(self) -> None:
        for path in self.directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - MAX_AGE:
                    path.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
