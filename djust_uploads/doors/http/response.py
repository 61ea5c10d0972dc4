"""What is answered: a status, headers and a small body, or a stored file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from ...exceptions import UploadError
from .problems import status_of
from .request import Request

#: Seconds for which a client that is refused in the middle of its body may send on. Most clients
#: stop when they see the answer.
LINGER = 3.0


@dataclass
class Response:
    """An HTTP response. The names of ``headers`` are written as they are to be read."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: The body of a response that does not fit in memory. ``headers`` has its length.
    stream: AsyncGenerator[bytes, None] | None = None

    @classmethod
    def json(
        cls,
        status: int,
        content: Any,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Response:
        """Return a response whose body is ``content`` as JSON."""
        body = json.dumps(content, cls=DjangoJSONEncoder).encode()
        return cls(status, {**(headers or {}), "Content-Type": content_type}, body)

    @classmethod
    def problem(
        cls,
        error: UploadError,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> Response:
        """Return an error as RFC 9457 describes it, with our ``code`` and sentence.

        ``members`` are added to it, or replace some of it.
        """
        status = status or status_of(error)
        content = {
            "type": "about:blank",
            "title": error.message,
            "status": status,
            "code": error.code,
            **(members or {}),
        }
        if error.retry_after:
            headers = {"Retry-After": str(error.retry_after), **(headers or {})}
        return cls.json(status, content, headers, "application/problem+json")

    async def send(self, request: Request, send: Any) -> None:
        """Send the response. A body that was not read to its end ends the connection."""
        headers = {"Cache-Control": "no-store", **self.headers}
        unread = not request.read and request.has_body
        if self.stream is None and self.status not in (204, 304):
            headers["Content-Length"] = str(len(self.body))
        if unread and request.scope.get("http_version", "1.1") in ("1.0", "1.1"):
            headers["Connection"] = "close"
        start = {
            "type": "http.response.start",
            "status": self.status,
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        }
        # A client that has gone is not worth an exception.
        with contextlib.suppress(OSError):
            await send(start)
            if self.stream:
                async with contextlib.aclosing(self.stream) as blocks:
                    async for block in blocks:
                        await _send_body(send, block, more=True)
                await _send_body(send, b"")
            elif unread:
                await _send_body(send, self.body, more=True)
                await request.drop(LINGER)
                await _send_body(send, b"")
            else:
                await _send_body(send, self.body)


async def _send_body(send: Any, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
