"""A page that sends Blobs over a bare socket, and the application that drops them."""

from __future__ import annotations

from typing import Any

from benchmarks.sites import pages
from benchmarks.sites.bare import bare


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await bare(scope, receive, send)
        return
    content_type, body = pages.asset(scope["path"]) or ("text/html", pages.page("bare"))
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
