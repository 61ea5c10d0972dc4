"""The door for plain Django Channels."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http.request import validate_host
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from .. import wire
from ..exceptions import UploadError
from ..uploads.manager import UploadManager
from .handlers import call, is_event_handler
from .messages import MAX_MESSAGE_SIZE, UPLOAD_MESSAGES, UploadMessages

logger: logging.Logger = logging.getLogger("djust_uploads")


#: The code with which the socket of a foreign page is closed. Codes from 4000 on are for
#: applications: https://www.iana.org/assignments/websocket
FORBIDDEN = 4403


class UploadConsumer(UploadMessages, AsyncWebsocketConsumer):
    """The WebSocket of a page without djust. Combine it with ``UploadMixin``::

        class GalleryConsumer(UploadMixin, UploadConsumer):
            def mount(self):
                self.allow_upload("photos", accept="image/*", max_entries=5)

            @event_handler
            def save(self, **params):
                for entry in self.consume_uploaded_entries("photos"):
                    name = default_storage.save(f"photos/{entry.client_name}", entry.file)
                    self.push_event("photo", {"url": default_storage.url(name)})

    ``mount()`` is called when the page connects, and may be ``async``. ``dj-submit`` and
    ``dj-click`` call methods that are marked with ``@event_handler``. Their keyword arguments are
    the form's fields, or the element's ``dj-value-*`` attributes. Handlers that are not ``async``
    run in a thread. One message is handled at a time.
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
            await call(self.mount)
        except Exception:
            logger.exception("%s.mount() raised", type(self).__name__)
            await self.send_json({"type": "error", "error": _("The page could not be set up.")})
            await self.close(code=1011)
            return
        await self.send_json({"type": "mount", "upload_configs": self.client_configs()})
        await self._flush_events()

    def origin_allowed(self) -> bool:
        """Return whether the page that connects is on one of our ``ALLOWED_HOSTS``.

        A page of another site would come with our user's cookies. Browsers send ``Origin`` with
        every WebSocket handshake, so a client that sends none is not a browser.
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
        # ``hostname`` has no brackets around an IPv6 address, and validate_host() needs them.
        return validate_host(f"[{host}]" if ":" in host else host, hosts)

    def mount(self) -> Any:
        """Declare the slots, and read what the page needs. Override it."""

    def upload_manager(self) -> UploadManager | None:
        # UploadMixin sets the attribute. A consumer without the mixin has none.
        manager: UploadManager | None = getattr(self, "_upload_manager", None)
        return manager

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        await self.send_json(message)
        if self._peer_gone:
            raise ConnectionError("the page has closed its socket")

    async def send_json(self, message: Mapping[str, Any]) -> None:
        """Send a message to the page, if it is still there."""
        await self._send_text(self._encode(message))

    @staticmethod
    def _encode(message: Mapping[str, Any]) -> str:
        return json.dumps(message, cls=DjangoJSONEncoder)

    async def _send_text(self, text: str) -> None:
        # An exception here would keep disconnect() from being called.
        try:
            await self.send(text_data=text)
        except OSError as exc:
            # https://asgi.readthedocs.io/en/latest/specs/www.html#disconnected-client-send-exception
            self._peer_gone = True
            logger.debug("message dropped: %r", exc)

    def push_event(self, event: str, payload: Mapping[str, Any] | None = None) -> None:
        """Dispatch ``djust:push_event`` on the page's ``window``.

        Its ``detail`` has ``event`` and ``payload``. The method may be called from any thread, and
        events arrive in order. Raises ``TypeError`` for a payload that JSON cannot carry.
        """
        message = {"type": "push_event", "event": event, "payload": dict(payload or {})}
        # The message is encoded here, so that a wrong payload raises where it was passed.
        self._events.append(self._encode(message))
        asyncio.run_coroutine_threadsafe(self._flush_events(), self._loop)

    async def _flush_events(self) -> None:
        while self._events:
            await self._send_text(self._events.pop(0))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            message = self._decode(text_data)
        # Deeply nested brackets exhaust the parser's stack.
        except (ValueError, RecursionError) as exc:
            logger.warning("message refused: %s", exc)
            await self.send_json({"type": "error", "error": _("The message was not understood.")})
            return
        if message["type"] in UPLOAD_MESSAGES:
            await self.handle_upload_message(message)
        elif message["type"] == "ping":
            await self.send_json({"type": "pong"})
        elif message["type"] == "event":
            await self._handle_event(message)
        else:
            await self.send_json({"type": "error", "error": _("Unknown message type.")})

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
        """Call the handler, and answer with the ``ref`` that the page gave the event.

        The page's language is active meanwhile.
        """
        configs = self.client_configs()
        with override(await self.language_of(message)):
            reply = {"type": "noop", "ref": message.get("ref"), **await self._run_handler(message)}
            await self._flush_events()
            if self.client_configs() != configs:
                await self.send_json(wire.configs(self.client_configs()))
            await self.send_json(reply)

    async def _run_handler(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is wrong, as keys of the answer."""
        try:
            handler, params = self._handler(message)
        except ValueError as exc:
            logger.warning("event refused: %s", exc)
            return {"type": "error", "error": _("The page asked for something it may not.")}
        try:
            await call(handler, **params)
        except UploadError as exc:
            # Its sentence is meant for the person at the page.
            logger.warning("%s raised (%s): %s", message["event"], exc.code, exc)
            return {"type": "error", "error": exc.message}
        except Exception:
            logger.exception("%s raised", message["event"])
            return {"type": "error", "error": _("Something went wrong. Please try again.")}
        return {}

    def _handler(self, message: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
        name, params = message.get("event"), message.get("params") or {}
        # The name is looked up on the class, because the client could otherwise run a property.
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
