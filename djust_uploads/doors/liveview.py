"""The door for djust. Nothing else in the package knows djust.

Route :class:`LiveViewConsumer` in place of djust's::

    from djust_uploads.liveview import LiveViewConsumer

    websocket_urlpatterns = [path("ws/live/", LiveViewConsumer.as_asgi())]
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.utils.translation import override
from djust.websocket import LiveViewConsumer as StockConsumer
from djust.websocket_utils import _post_only_rules_deny as post_only_rules_deny

from .. import wire
from ..exceptions import Forbidden
from ..uploads.manager import UploadManager
from .messages import MAX_MESSAGE_SIZE, UPLOAD_MESSAGES, UploadMessages
from .mixin import UploadMixin

__all__ = ["LiveViewConsumer", "StockConsumer"]

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The key of a view's slots in djust's signed snapshot.
_SNAPSHOT_KEY = "djust_uploads_slots"


class LiveViewConsumer(UploadMessages, StockConsumer):
    """djust's consumer, with our uploads for views that have our ``UploadMixin``.

    djust's ``max_message_size`` and rate limiter drop messages, so upload messages do not pass
    through them. A frame may be as long as its slot's ``chunk_size`` plus the header, and a client
    that sends too fast is slowed down instead. djust handles everything else, including the uploads
    of views that have djust's own mixin.
    """

    def upload_manager(self) -> UploadManager | None:
        manager = getattr(self.view_instance, "_upload_manager", None)
        return manager if isinstance(manager, UploadManager) else None

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        await self.send_json(message)
        # djust drops what it cannot send, and sets this attribute.
        if self._ws_close_sent:
            raise ConnectionError("the page has closed its socket")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        # Nearly all messages are djust's. The search for the substring saves them from being parsed
        # twice. djust refuses messages that are too long.
        ours = text_data and len(text_data) <= MAX_MESSAGE_SIZE and '"upload_' in text_data
        if ours and isinstance(self.view_instance, UploadMixin):
            message = _decoded(text_data or "")
            if message.get("type") in UPLOAD_MESSAGES:
                await self._receive_upload_message(message)
                return
        await super().receive(text_data=text_data, bytes_data=bytes_data)

    async def _dispatch_runtime_owned(self, data: dict[str, Any]) -> None:
        """Let djust handle an event, and send the slots' configs if a handler has changed them."""
        configs = self.client_configs()
        await super()._dispatch_runtime_owned(data)
        # The mount message already contains the configs.
        if data.get("type") != "mount" and self.client_configs() != configs:
            await self.send_upload_message(wire.configs(self.client_configs()))

    async def _handle_upload_register(self, data: dict[str, Any]) -> None:
        # djust calls this for a message that receive() did not recognise.
        if self.upload_manager():
            await self._receive_upload_message(data)
        else:
            await super()._handle_upload_register(data)

    async def _receive_upload_message(self, message: Mapping[str, Any]) -> None:
        if await post_only_rules_deny(self.view_instance):
            error = Forbidden("refused by what only post() runs")
            logger.warning("upload refused (%s): %s", error.code, error)
            with override(await self.language_of(message)):
                ref, sentence = str(message.get("ref"))[:64], str(error.message)
            await self.send_upload_message(wire.failed_before(ref, "", error.code, sentence))
            return
        await self.handle_upload_message(message)

    async def disconnect(self, close_code: int) -> None:
        # djust's disconnect() forgets the view, and does not go on after a step that raises.
        manager = self.upload_manager()
        try:
            await super().disconnect(close_code)
        finally:
            if manager:
                await manager.aclose()


def _decoded(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _save_in_snapshot(cls: type[UploadMixin]) -> None:
    """Save a view's slots in djust's signed snapshot, and restore them from there.

    djust restores a view from its snapshot without calling ``mount()`` or
    ``_restore_upload_configs()``. This wraps the methods of the class instead of overriding them,
    because the mixin may stand behind ``LiveView``.
    """
    capture: Callable[..., dict[str, Any]] | None = getattr(cls, "_capture_snapshot_state", None)
    restore: Callable[..., None] | None = getattr(cls, "_restore_snapshot", None)
    if capture is None or restore is None or hasattr(capture, "_carries_slots"):
        return

    @functools.wraps(capture)
    def _capture_snapshot_state(self: UploadMixin, **kwargs: Any) -> dict[str, Any]:
        state = capture(self, **kwargs)
        # ``uploads`` is created at each rendering, so the old one is of no use.
        state.pop("uploads", None)
        return {**state, _SNAPSHOT_KEY: self.saved_upload_slots()}

    @functools.wraps(restore)
    def _restore_snapshot(self: UploadMixin, state: dict[str, Any]) -> None:
        saved = state.pop(_SNAPSHOT_KEY, [])
        restore(self, state)
        self.restore_upload_slots(saved)

    _capture_snapshot_state._carries_slots = True  # type: ignore[attr-defined]
    cls._capture_snapshot_state = _capture_snapshot_state  # type: ignore[attr-defined]
    cls._restore_snapshot = _restore_snapshot  # type: ignore[attr-defined]


def _all_subclasses(cls: type[UploadMixin]) -> Iterator[type[UploadMixin]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _all_subclasses(subclass)


UploadMixin._upload_hooks.append(_save_in_snapshot)
for _view in _all_subclasses(UploadMixin):
    _save_in_snapshot(_view)
