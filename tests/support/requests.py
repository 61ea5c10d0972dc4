"""Requests to an endpoint without a server: the test decides what arrives when."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.http import OCTETS, TUS

MEDIA_TYPE = {"Content_Type": OCTETS["Content-Type"]}


class Asked:
    """One request of tus, which has begun. ``path`` is below ``/uploads/``."""

    def __init__(self, application: Any, method: str, path: str, **headers: object) -> None:
        self._arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: list[dict[str, Any]] = []
        names = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        pairs = {"Host": "testserver", **TUS, **names}
        scope = {
            "type": "http",
            "method": method,
            "path": f"/uploads/{path}",
            "path_remaining": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
            "client": ("10.0.0.1", 5),
            "server": ("testserver", 80),
        }
        # A server's queue that has no bound would be taken for daphne's.
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return await self._arriving.get()

    async def _send(self, message: dict[str, Any]) -> None:
        self._sent.append(message)

    def body(self, data: bytes, *, more: bool = True) -> None:
        """Some of the body arrives."""
        self._arriving.put_nowait({"type": "http.request", "body": data, "more_body": more})

    async def answered(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of the answer."""
        await self.task
        start = self._sent[0]
        return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}


async def create(application: Any, slot: str, size: int) -> str:
    """Create an upload, and return its path below ``/uploads/``."""
    status, headers = await Asked(application, "POST", f"{slot}/", Upload_Length=size).answered()
    assert status == 201
    return headers["location"].removeprefix("/uploads/")


def patch(application: Any, path: str, offset: int, size: int, **headers: object) -> Asked:
    """Begin to append ``size`` bytes."""
    return Asked(
        application,
        "PATCH",
        path,
        Upload_Offset=offset,
        Content_Length=size,
        **MEDIA_TYPE,
        **headers,
    )
