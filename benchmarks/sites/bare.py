"""An ASGI application that receives messages and drops them. Nothing can be faster.

It answers as an upload server does, so that the client can treat all servers alike.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.meter import metered

#: Bytes of the frame which says that all bytes are sent.
ENDING = 17


def answer_to(text: str) -> str:
    """Return the answer to a registration. It has no limit."""
    return json.dumps({"type": "upload_registered", "ref": json.loads(text)["ref"]})


def answer_to_ending(frame: bytes) -> str:
    ref = frame[1:].hex()
    ref = "-".join((ref[:8], ref[8:12], ref[12:16], ref[16:20], ref[20:]))
    return json.dumps({"type": "upload_progress", "ref": ref, "status": "complete"})


async def bare(scope: Any, receive: Any, send: Any) -> None:
    async def say(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    await receive()
    await send({"type": "websocket.accept"})
    await say('{"type": "mount"}')
    while (message := await receive())["type"] == "websocket.receive":
        if text := message.get("text"):
            await say(answer_to(text))
        elif len(message["bytes"]) == ENDING:
            await say(answer_to_ending(message["bytes"]))


application = metered(bare)
