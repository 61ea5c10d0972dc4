"""``UploadMessages``: takes the upload messages out of a WebSocket consumer's stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from django.utils.translation import override

from .. import wire
from ..exceptions import SessionEnded, UploadError
from ..resuming.owners import owner_of
from ..uploads.connection import DEFAULT_MESSAGE_SIZE
from ..uploads.languages import language_of, load_catalogue
from ..uploads.manager import UploadManager
from ..uploads.sessions import Requester, when_logged_out

#: The code with which a socket is closed whose session has ended. Codes from 4000 on are for
#: applications: https://www.iana.org/assignments/websocket
SESSION_ENDED = 4401

#: The most characters of a JSON message.
MAX_MESSAGE_SIZE = 64 * 1024


class UploadMessages:
    """Handles the upload messages of a consumer. All other messages go to Channels as usual.

    Binary frames do not pass through Channels' dispatch. For each message, the dispatch creates
    tasks and calls a thread that looks for old database connections. That costs more than to move
    the bytes of a frame. A server that reads ahead would also read faster than Channels dispatches.
    """

    def upload_manager(self) -> UploadManager | None:
        """Return the manager of the connection's uploads, or ``None`` if there is none yet."""
        raise NotImplementedError

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises ``ConnectionError`` if the client is known to be gone."""
        raise NotImplementedError

    #: The language of the page, once it has said something of uploads.
    _language: str | None = None

    #: Whether the server has closed the socket.
    _closed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        slows = not reads_ahead(receive)
        self._max_message_size = max_message_size(receive, send)

        async def receive_others() -> dict[str, Any]:
            while True:
                message: dict[str, Any] = await receive()
                if self._closed and message["type"] == "websocket.receive":
                    continue
                if not await self._take_frame(message, slows):
                    return message
                # The budget does not count the bytes of this message any more. It must not stay in
                # memory while we wait for the next one.
                del message

        try:
            with when_logged_out(Requester(scope).session_key, self._logged_out):
                await super().__call__(scope, receive_others, send)  # type: ignore[misc]
        finally:
            # If the dispatch loop failed or was cancelled, disconnect() was not called.
            await self.close_uploads()

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the socket, and drop what the client still sends.

        The client may have sent it before it hears of the end, for example because ``mount()`` has
        refused it.
        """
        self._closed = True
        await super().close(*args, **kwargs)  # type: ignore[misc]

    async def _take_frame(self, message: Mapping[str, Any], slows: bool) -> bool:
        data = message.get("bytes") if message["type"] == "websocket.receive" else None
        if not data or not wire.is_upload_frame(data):
            return False
        manager = self.upload_manager()
        if manager is None:
            return False
        await manager.receive(data, self.send_upload_message, slows=slows)
        return True

    def _logged_out(self) -> None:
        # The server refers to this connection, and so to the task, until it has ended.
        self._ending = asyncio.ensure_future(self._end_session())

    async def _end_session(self) -> None:
        if manager := self.upload_manager():
            self._introduce(manager)
            await manager.end_session()
        else:
            await self._hang_up(SessionEnded("the user logged out"))

    async def _hang_up(self, error: UploadError) -> None:
        """Tell the page why its socket ends, and close it."""
        with override(self._language):
            message = wire.closing(error)
        with contextlib.suppress(Exception):
            await self.send_upload_message(message)
        await self.close(code=SESSION_ENDED)

    async def close_uploads(self) -> None:
        """End the uploads of this connection, or park them. May be called again."""
        if manager := self.upload_manager():
            await manager.aclose()

    async def handle_upload_message(self, message: Mapping[str, Any]) -> None:
        """Answer one of the ``UPLOAD_MESSAGES``."""
        if message["type"] == "upload_configs":
            # A page that asks and goes has no use for the answer.
            with contextlib.suppress(ConnectionError):
                await self.send_upload_message(wire.configs(self.client_configs()))
            return
        if message["type"] == "upload_keep":
            if manager := self.upload_manager():
                manager.keep(message)
            return
        # Without a slot there is no manager, but the client must hear that its file is refused.
        manager = self.upload_manager() or UploadManager()
        self._introduce(manager)
        connection = manager.connection
        if connection.language is None:
            self._language = connection.language = await self.language_of(message)
        answer = manager.resume if message["type"] == "upload_resume" else manager.register
        await answer(message, self.send_upload_message)

    def _introduce(self, manager: UploadManager) -> None:
        """Tell the manager whose connection it has, and how it is ended."""
        scope, connection = self.scope, manager.connection  # type: ignore[attr-defined]
        connection.owner = connection.owner or owner_of(scope)
        connection.max_message_size = self._max_message_size
        connection.hang_up = self._hang_up
        if manager.authorization.requester is None:
            manager.authorization.requester = Requester(scope)

    async def language_of(self, message: Mapping[str, Any]) -> str:
        """Return the language of the page that sent ``message``. Its catalogue is in memory."""
        language = language_of(self.scope, message.get("language"))  # type: ignore[attr-defined]
        await load_catalogue(language)
        return language

    def client_configs(self) -> dict[str, Any]:
        """Return what the browser needs to know about each slot."""
        manager = self.upload_manager()
        return manager.client_configs() if manager else {}


def max_message_size(receive: Any, send: Any) -> int:
    """Return how many bytes of a message the host's server takes.

    ASGI does not tell, but the callables of the known servers lead to their settings. Behind a
    middleware that wraps both callables, it is what every server takes by default.
    """
    owners = [getattr(end, "__self__", None) for end in (receive, send)]
    # daphne's ``send`` is a partial function of its protocol.
    owners += getattr(send, "args", ())
    for owner in owners:
        settings = getattr(owner, "config", owner)
        for name in _MESSAGE_SIZES:
            size = getattr(settings, name, None)
            if isinstance(size, int) and size > 0:
                return size
    return DEFAULT_MESSAGE_SIZE


def reads_ahead(receive: Any) -> bool:
    """Return whether the server goes on reading a socket while we receive nothing from it.

    daphne does: ``receive`` is the ``get`` of a queue without a bound. uvicorn stops reading, and
    the queue of hypercorn is bounded.
    """
    queue = getattr(receive, "__self__", None)
    return isinstance(queue, asyncio.Queue) and queue.maxsize <= 0


#: What uvicorn, hypercorn, and daphne's protocol (autobahn's) call their limit.
_MESSAGE_SIZES = ("ws_max_size", "websocket_max_message_size", "maxMessagePayloadSize")

UPLOAD_MESSAGES = frozenset({"upload_register", "upload_resume", "upload_configs", "upload_keep"})
