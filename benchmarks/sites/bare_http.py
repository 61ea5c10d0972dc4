"""The limit: an ASGI application that writes the bodies of its requests into files.

It answers as a tus server does, so that the client has one way to upload into all of them.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ["UPLOAD_DIRECTORY"])


async def application(scope: Any, receive: Any, send: Any) -> None:
    status, headers = 204, {}
    if scope["method"] == "POST":
        await receive()
        status, headers = 201, {"location": f"/{uuid.uuid4()}", "content-length": "0"}
    elif scope["method"] == "PATCH":
        headers = {"upload-offset": str(await write(receive, DIRECTORY / scope["path"][1:]))}
    elif scope["method"] == "DELETE":
        await receive()
        (DIRECTORY / scope["path"][1:]).unlink()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body"})


async def write(receive: Any, path: Path) -> int:
    """Return how many bytes were written."""
    with path.open("wb", buffering=0) as file:
        while (message := await receive()).get("more_body"):
            file.write(message["body"])
        file.write(message["body"])
        return file.tell()
