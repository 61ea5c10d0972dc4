"""The sockets: what both hosts share, and the host for plain Channels."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http.request import validate_host

from . import frames
from .handlers import is_event_handler
from .manager import UploadManager
from .resume import owner_of

logger = logging.getLogger("djust_uploads")

#: Characters of a JSON message, at most.
MAX_MESSAGE_SIZE = 64 * 1024

#: Closing codes, https://www.iana.org/assignments/websocket: 4000 and up are the application's.
FORBIDDEN = 4403


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
        if not data or not frames.is_upload_frame(data):
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
            await self.send_upload_message(frames.configs(self.client_configs()))
            return
        # Without a slot there is nobody to ask, but the client must hear of it.
        manager = self.upload_manager() or UploadManager()
        manager.owner = manager.owner or owner_of(self.scope)  # type: ignore[attr-defined]
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


class UploadConsumer(UploadMessages, AsyncWebsocketConsumer):
    """A page's socket without djust; combine it with ``UploadMixin``::

        class GalleryConsumer(UploadMixin, UploadConsumer):
            def mount(self):
                self.allow_upload("photos", accept="image/*", max_entries=5)

            @event_handler
            def save(self, **params):
                for entry in self.consume_uploaded_entries("photos"):
                    name = default_storage.save(f"photos/{entry.client_name}", entry.file)
                    self.push_event("photo", {"url": default_storage.url(name)})

    ``mount()`` runs when the page connects, and may be async. Methods marked by ``@event_handler``
    are called by ``dj-submit`` and ``dj-click`` with the form's fields, or the element's
    ``dj-value-*`` attributes, as keyword arguments; synchronous ones run in a thread. One message
    is handled at a time.
    """

    max_message_size = MAX_MESSAGE_SIZE

    _peer_gone = False

    async def connect(self) -> None:
        if not self.origin_allowed():
            await self.close(code=FORBIDDEN)
            return
        self._loop = asyncio.get_running_loop()
        self._events: list[str] = []
        await self.accept()
        try:
            await _call(self.mount)
        except Exception:
            logger.exception("%s.mount() raised", type(self).__name__)
            await self.send_json({"type": "error", "error": "The page could not be set up."})
            await self.close(code=1011)
            return
        await self.send_json({"type": "mount", "upload_configs": self.client_configs()})
        await self._flush_events()

    def origin_allowed(self) -> bool:
        """Whether the page that connects is one of ours, by ``ALLOWED_HOSTS``.

        Browsers send ``Origin`` with every WebSocket handshake, and a page of another site would
        come with our user's cookies. Clients that send none are no browsers.
        """
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin")
        if origin is None:
            return True
        hosts = settings.ALLOWED_HOSTS
        if settings.DEBUG and not hosts:
            hosts = [".localhost", "127.0.0.1", "[::1]"]
        try:
            host = urlsplit(origin.decode("latin-1")).hostname or ""
        except ValueError:
            return False
        # hostname drops an IPv6 address's brackets; validate_host wants them.
        return validate_host(f"[{host}]" if ":" in host else host, hosts)

    def mount(self) -> Any:
        """Override it: declare the slots, and read what the page needs."""

    def upload_manager(self) -> UploadManager | None:
        # The mixin's, and None in a consumer that was not combined with it.
        manager: UploadManager | None = getattr(self, "_upload_manager", None)
        return manager

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        await self.send_json(message)
        if self._peer_gone:
            raise ConnectionError("the page has closed its socket")

    async def send_json(self, message: Mapping[str, Any]) -> None:
        """Send to the page, if it is still there."""
        await self._send_text(self._encode(message))

    @staticmethod
    def _encode(message: Mapping[str, Any]) -> str:
        return json.dumps(message, cls=DjangoJSONEncoder)

    async def _send_text(self, text: str) -> None:
        # The page's end is heard by disconnect(), which an exception here would keep from being
        # called.
        try:
            await self.send(text_data=text)
        except OSError as exc:
            # https://asgi.readthedocs.io/en/latest/specs/www.html#disconnected-client-send-exception
            self._peer_gone = True
            logger.debug("message dropped: %r", exc)

    def push_event(self, event: str, payload: Mapping[str, Any] | None = None) -> None:
        """Send an event to the page: ``djust:push_event`` on ``window``, with ``detail.event`` and
        ``detail.payload``. From any thread; events arrive in order. Raises ``TypeError`` for a
        payload that JSON can't carry."""
        message = {"type": "push_event", "event": event, "payload": dict(payload or {})}
        # Here, so that a payload which JSON can't carry is an error of who passed it.
        self._events.append(self._encode(message))
        asyncio.run_coroutine_threadsafe(self._flush_events(), self._loop)

    async def _flush_events(self) -> None:
        while self._events:
            await self._send_text(self._events.pop(0))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            message = self._decode(text_data)
        # Brackets nested deep enough exhaust the parser's stack.
        except (ValueError, RecursionError) as exc:
            logger.warning("message refused: %s", exc)
            await self.send_json({"type": "error", "error": "The message was not understood."})
            return
        if message["type"] in UPLOAD_MESSAGES:
            await self.handle_upload_message(message)
        elif message["type"] == "ping":
            await self.send_json({"type": "pong"})
        elif message["type"] == "event":
            await self._handle_event(message)
        else:
            await self.send_json({"type": "error", "error": "Unknown message type."})

    def _decode(self, text: str | None) -> dict[str, Any]:
        if text is None:
            raise ValueError("binary, but not an upload frame")
        if len(text) > self.max_message_size:
            raise ValueError(f"{len(text)} characters, over {self.max_message_size}")
        message = json.loads(text)
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise ValueError("not an object with a type")
        return message

    async def _handle_event(self, message: Mapping[str, Any]) -> None:
        """Call the handler and answer with the ``ref`` that the page gave the event."""
        reply = {"type": "noop", "ref": message.get("ref")}
        configs = self.client_configs()
        try:
            handler, params = self._handler(message)
        except ValueError as exc:
            logger.warning("event refused: %s", exc)
            reply |= {"type": "error", "error": "The page asked for something it may not."}
        else:
            try:
                await _call(handler, **params)
            except Exception:
                logger.exception("%s raised", message["event"])
                reply |= {"type": "error", "error": "Something went wrong. Please try again."}
        await self._flush_events()
        if self.client_configs() != configs:
            await self.send_json(frames.configs(self.client_configs()))
        await self.send_json(reply)

    def _handler(self, message: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
        name, params = message.get("event"), message.get("params") or {}
        # Looked up on the class: a property would run at the client's word.
        if not isinstance(name, str) or not is_event_handler(getattr(type(self), name, None)):
            raise ValueError(f"no event handler {name!r:.80}")
        handler = getattr(self, name)
        if not isinstance(params, dict):
            raise ValueError(f"params of {name} are not an object")
        try:
            inspect.signature(handler).bind(**params)
        except TypeError as exc:
            raise ValueError(f"params of {name}: {exc}") from None
        return handler, params


async def _call(function: Callable[..., Any], /, **params: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**params)
    # Not the one thread that Channels has for all: a handler that saves a big file would keep every
    # other page's waiting.
    return await database_sync_to_async(function, thread_sensitive=False)(**params)
