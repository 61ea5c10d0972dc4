"""Gives an owner the bytes of a complete upload back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import quote

from ...exceptions import NotComplete
from ...slots.entry import UploadEntry
from ...slots.status import Status
from .digests import Digest
from .response import Response

#: Bytes that are read from the store at once.
_BLOCK = 256 * 1024


async def blocks(entry: UploadEntry) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a complete entry. Others may read the file at the same time."""
    file = entry.twin().file
    try:
        async for block in file.achunks(_BLOCK):
            yield block
    finally:
        await asyncio.to_thread(file.close)


async def stored_response(entry: UploadEntry) -> Response:
    """Return the file. Raises :class:`NotComplete` before all of it is stored."""
    if entry.status is not Status.COMPLETE:
        raise NotComplete(f"{entry!r} is on its way")
    headers = {
        "Content-Type": entry.content_type or "application/octet-stream",
        "Content-Length": str(entry.client_size),
        # The browser must not run what a user has uploaded as a page of ours.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(entry.client_name)}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    if entry.sha256:
        headers["Repr-Digest"] = Digest.sha256(entry.sha256).header()
    return Response(200, headers, stream=blocks(entry))
