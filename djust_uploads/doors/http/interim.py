"""Interim responses: 104 (Upload Resumption Supported), where the server can send them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

#: The name of the ASGI extension, and of its message. No server has it of its own accord;
#: :mod:`djust_uploads.uvicorn` adds it to uvicorn.
EXTENSION = "http.response.informational"

#: "Status Code 104 (Upload Resumption Supported)" of draft-ietf-httpbis-resumable-upload.
STATUS = 104

#: Seconds between two interim responses that tell the offset.
INTERVAL = 1.0


class Interim:
    """Sends interim responses to one request, as long as there is no final one."""

    def __init__(self, scope: Mapping[str, Any], send: Any) -> None:
        self._send = send if EXTENSION in (scope.get("extensions") or {}) else None
        #: Whether the client was told the address of its upload.
        self.announced: bool = False
        self._progressed_at = time.monotonic()

    async def announce(self, headers: Mapping[str, str] | None) -> None:
        """Tell the client the address of its upload, if there are headers and the server can."""
        self.announced = headers is not None and self._send is not None
        await self._write(headers)

    async def _write(self, headers: Mapping[str, str] | None) -> None:
        if headers is None or self._send is None:
            return
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        with contextlib.suppress(OSError):
            await self._send({"type": EXTENSION, "status": STATUS, "headers": raw})

    async def progress(self, headers: Mapping[str, str] | None) -> None:
        """Send the headers, but not too often."""
        now = time.monotonic()
        if now - self._progressed_at >= INTERVAL:
            self._progressed_at = now
            await self._write(headers)

    def close(self) -> None:
        """Send nothing more: the final response follows."""
        self._send = None
