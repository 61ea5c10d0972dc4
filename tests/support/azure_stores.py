"""Azure's Blob Storage to test against: Azurite, in a process of its own."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import hmac
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers import free_port

#: What every Azurite knows: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
#: ("Well-known storage account and key").
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

VERSION = "2021-08-06"


def azurite() -> str | None:
    """The program, from PATH or from where ``make`` installs it."""
    ours = Path(sys.prefix) / "azurite/node_modules/.bin/azurite-blob"
    return shutil.which("azurite-blob") or (str(ours) if ours.exists() else None)


@dataclass
class Store:
    """A running store with an empty container ``media``."""

    endpoint_url: str

    @property
    def options(self) -> dict[str, Any]:
        return {
            "endpoint_url": self.endpoint_url,
            "account_name": ACCOUNT,
            "account_key": KEY,
        }

    def object_keys(self) -> list[str]:
        listing = self._ask("GET", "", "comp=list&restype=container")
        return re.findall("<Name>([^<]*)</Name>", listing)

    def blocks(self, key: str) -> int:
        """How many blocks there are that nobody put together."""
        try:
            listing = self._ask("GET", f"/{key}", "blocklisttype=uncommitted&comp=blocklist")
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return 0
        return listing.count("<Block>")

    def empty(self) -> None:
        self._ask("DELETE", "", "restype=container")
        self.make()

    def make(self) -> None:
        self._ask("PUT", "", "restype=container")

    def _ask(self, method: str, path: str, query: str) -> str:
        """Signed as in https://learn.microsoft.com/rest/api/storageservices/
        authorize-with-shared-key."""
        date = email.utils.formatdate(usegmt=True)
        path = f"/media{path}"
        params = "".join(f"\n{param.replace('=', ':')}" for param in query.split("&"))
        text = (
            f"{method}{12 * chr(10)}x-ms-date:{date}\nx-ms-version:{VERSION}\n"
            f"/{ACCOUNT}/{ACCOUNT}{path}{params}"
        )
        signature = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        headers = {
            "x-ms-date": date,
            "x-ms-version": VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}",
        }
        url = f"{self.endpoint_url}{path}?{query}"
        request = urllib.request.Request(url, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def azure() -> Iterator[Store]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(azurite() or "azurite-blob", "--inMemoryPersistence", "--skipApiVersionCheck"),
            *("--silent", "--disableTelemetry", "--blobHost=127.0.0.1", f"--blobPort={port}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, "Azurite ended"
            time.sleep(0.1)
        store = Store(f"http://127.0.0.1:{port}/{ACCOUNT}")
        store.make()
        yield store
    finally:
        process.kill()
        process.wait()
