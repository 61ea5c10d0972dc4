"""uvicorn's HTTP protocols, with interim responses.

iOS learns the URL of an upload from a 104 response (draft-ietf-httpbis-resumable-upload, "Status
Code 104"), and ASGI servers send none. Start uvicorn with one of these classes::

    uvicorn --http djust_uploads.uvicorn:HttpToolsProtocol mysite.asgi:application
    uvicorn --http djust_uploads.uvicorn:H11Protocol mysite.asgi:application

They offer the ASGI extension ``http.response.informational``: an application may send messages of
this type, with a ``status`` from 102 to 199 and ``headers``, before ``http.response.start``.

They also pass on the last bytes of a client whose connection broke. uvicorn itself drops up to 64
KiB then, which the client sends again when it resumes the upload.

``HttpToolsProtocol`` needs ``httptools``, which ``uvicorn[standard]`` installs.
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http import h11_impl

from .doors.http.interim import EXTENSION

_PHRASES = {104: b"Upload Resumption Supported"}


def _offering(app: Any, interim: Any) -> Any:
    """Return an application that calls ``app`` with the extension.

    ``interim(cycle, status, headers)`` writes one interim response.
    """

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope.get("http_version") == "1.0":
            # RFC 9110, section 15.2: HTTP/1.0 has no interim responses.
            await app(scope, receive, send)
            return
        # ``receive`` and ``send`` are methods of the request's cycle.
        cycle = send.__self__

        async def send_interim(message: Any) -> None:
            if message["type"] != EXTENSION:
                await send(message)
            elif not (cycle.response_started or cycle.disconnected):
                interim(cycle, message["status"], list(message.get("headers", [])))

        async def receive_all() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect" and cycle.body:
                message = {"type": "http.request", "body": bytes(cycle.body), "more_body": True}
                cycle.body = bytearray()
            return message

        extensions = {**(scope.get("extensions") or {}), EXTENSION: {}}
        await app({**scope, "extensions": extensions}, receive_all, send_interim)

    return application


def _write_h11(cycle: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    response = h11.InformationalResponse(
        status_code=status, headers=headers, reason=_PHRASES.get(status, b"")
    )
    cycle.transport.write(cycle.conn.send(event=response))


def _write_httptools(cycle: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    lines = [b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, b""))]
    for name, value in headers:
        if set(name + value) & {0, 10, 13}:
            raise RuntimeError("Invalid HTTP header.")
        lines.append(b"%b: %b" % (name, value))
    cycle.transport.write(b"\r\n".join([*lines, b"", b""]))


class H11Protocol(h11_impl.H11Protocol):
    """uvicorn's protocol over h11, with interim responses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app: Any = _offering(self.app, _write_h11)


def __getattr__(name: str) -> Any:
    if name != "HttpToolsProtocol":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from uvicorn.protocols.http import httptools_impl

    class HttpToolsProtocol(httptools_impl.HttpToolsProtocol):
        """uvicorn's protocol over httptools, with interim responses."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.app: Any = _offering(self.app, _write_httptools)

    globals()[name] = HttpToolsProtocol
    return HttpToolsProtocol
