"""What every door by WebSocket does alike: it takes the upload messages out of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from .. import wire
from ..resuming.owners import owner_of
from ..uploads.manager import UploadManager

#: Characters of a JSON message, at most.
MAX_MESSAGE_SIZE = 64 * 1024


class UploadMessages:
    """Takes the upload messages out of a consumer's stream; the rest goes its usual way.

    Binary frames go past Channels' dispatch, whose tasks and hop into a thread for each message (it
    looks for old database connections) cost more than the frame's bytes. A server that reads ahead
    would also read faster than Channels dispatches.
    """

    def upload_manager(self) -> UploadManager | None:
        """The manager that frames go to now, if there is one."""
        raise NotImplementedError

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        """Send to the page. Raises ``ConnectionError`` if it is known to be gone."""
        raise NotImplementedError

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        slows = not _reads_ahead(receive)

        async def receive_others() -> dict[str, Any]:
            while True:
                message: dict[str, Any] = await receive()
                if not await self._take_frame(message, slows):
                    return message
                # While we wait for the next one it would be kept, and nobody counts it.
                del message

        try:
            await super().__call__(scope, receive_others, send)  # type: ignore[misc]
        finally:
            # Also when the dispatch loop died or was cancelled: no disconnect() came then.
            await self.close_uploads()

    async def _take_frame(self, message: Mapping[str, Any], slows: bool) -> bool:
        data = message.get("bytes") if message["type"] == "websocket.receive" else None
        if not data or not wire.is_upload_frame(data):
            return False
        manager = self.upload_manager()
        if manager is None:
            return False
        await manager.receive(data, self.send_upload_message, slows=slows)
        return True

    async def close_uploads(self) -> None:
        """End what this connection began; idempotent."""
        if manager := self.upload_manager():
            await manager.aclose()

    async def handle_upload_message(self, message: Mapping[str, Any]) -> None:
        """Answer one of ``UPLOAD_MESSAGES``."""
        if message["type"] == "upload_configs":
            await self.send_upload_message(wire.configs(self.client_configs()))
            return
        # Without a slot there is nobody to ask, but the client must hear of it.
        manager = self.upload_manager() or UploadManager()
        connection = manager.connection
        connection.owner = connection.owner or owner_of(self.scope)  # type: ignore[attr-defined]
        answer = manager.resume if message["type"] == "upload_resume" else manager.register
        await answer(message, self.send_upload_message)

    def client_configs(self) -> dict[str, Any]:
        manager = self.upload_manager()
        return manager.client_configs() if manager else {}


def _reads_ahead(receive: Any) -> bool:
    """Whether the server reads its sockets however little of it we receive. daphne does: it hands
    out the ``get`` of a queue without bound. uvicorn stops reading, hypercorn's queue is bounded.
    """
    queue = getattr(receive, "__self__", None)
    return isinstance(queue, asyncio.Queue) and queue.maxsize <= 0


UPLOAD_MESSAGES = frozenset({"upload_register", "upload_resume", "upload_configs"})
