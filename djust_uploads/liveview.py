"""The djust integration; nothing else in the package knows djust.

Route :class:`LiveViewConsumer` in place of djust's::

    from djust_uploads.liveview import LiveViewConsumer

    websocket_urlpatterns = [path("ws/live/", LiveViewConsumer.as_asgi())]
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from djust.websocket import LiveViewConsumer as StockConsumer
from djust.websocket_utils import _post_only_rules_deny as post_only_rules_deny

from . import frames
from .consumer import UPLOAD_MESSAGES, UploadMessages
from .exceptions import SinkError, UploadError
from .files import SinkFile
from .manager import UploadManager
from .mixin import UploadMixin
from .sinks.base import Sink, SinkWriter, UploadInfo

__all__ = ["LiveViewConsumer", "StockConsumer", "WriterSink"]

logger = logging.getLogger("djust_uploads")

#: Where a view's slots ride in djust's signed snapshot.
_SNAPSHOT_KEY = "djust_uploads_slots"


class Forbidden(UploadError):
    """The view's ``post()`` refuses the user, so it refuses his uploads."""

    code = "forbidden"
    message = "You are not allowed to upload files here."


class LiveViewConsumer(UploadMessages, StockConsumer):
    """djust's consumer, with our uploads for the views that have our ``UploadMixin``.

    Upload messages never meet djust's ``max_message_size`` nor its rate limiter, which drop what
    they don't like: a frame may be as long as its slot's ``chunk_size`` and the header, and a
    client is slowed down, not robbed. Everything else is djust's, uploads of views with djust's own
    mixin included.
    """

    def upload_manager(self) -> UploadManager | None:
        manager = getattr(self.view_instance, "_upload_manager", None)
        return manager if isinstance(manager, UploadManager) else None

    async def send_upload_message(self, message: Mapping[str, Any]) -> None:
        await self.send_json(message)
        # djust drops what it can't send, and takes a note of it.
        if self._ws_close_sent:
            raise ConnectionError("the page has closed its socket")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        # The substring spares the other messages, nearly all, a second parsing.
        if text_data and '"upload_' in text_data and isinstance(self.view_instance, UploadMixin):
            message = _decoded(text_data)
            if message.get("type") in UPLOAD_MESSAGES:
                await self._receive_upload_message(message)
                return
        await super().receive(text_data=text_data, bytes_data=bytes_data)

    async def _receive_upload_message(self, message: Mapping[str, Any]) -> None:
        if await post_only_rules_deny(self.view_instance):
            error = Forbidden("refused by what only post() runs")
            logger.warning("upload refused (%s): %s", error.code, error)
            await self.send_upload_message(frames.failed(str(message.get("ref"))[:64], error))
            return
        await self.handle_upload_message(message)

    async def disconnect(self, close_code: int) -> None:
        # djust's disconnect forgets the view, and stops where a step of it raises.
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


def _ride_in_snapshot(cls: type[UploadMixin]) -> None:
    """djust restores a view from its signed snapshot without ``mount()`` and without asking
    ``_restore_upload_configs``, so the slots travel in the snapshot itself.

    Wrappers on the class and not overrides, because the mixin may stand behind ``LiveView``.
    """
    capture: Callable[..., dict[str, Any]] | None = getattr(cls, "_capture_snapshot_state", None)
    restore: Callable[..., None] | None = getattr(cls, "_restore_snapshot", None)
    if capture is None or restore is None or hasattr(capture, "_carries_slots"):
        return

    @functools.wraps(capture)
    def _capture_snapshot_state(self: UploadMixin, **kwargs: Any) -> dict[str, Any]:
        state = capture(self, **kwargs)
        # The context's ``uploads`` is made anew at each rendering; an old one is of no use.
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


UploadMixin._upload_hooks.append(_ride_in_snapshot)
for _view in _all_subclasses(UploadMixin):
    _ride_in_snapshot(_view)


class WriterSink(Sink):
    """A djust ``UploadWriter`` class as a sink: ``allow_upload(…, writer=S3Writer)``.

    Its methods are synchronous, so they run in a thread, one at a time for each upload.
    """

    keeps_files = True

    def __init__(self, writer_class: type) -> None:
        self._writer_class = writer_class

    async def open(self, upload: UploadInfo) -> SinkWriter:
        # A thread of its own for each upload: some clients are bound to the thread they began in.
        executor = ThreadPoolExecutor(1, thread_name_prefix="upload-writer")
        writer = WriterAdapter(self._writer_class, upload, executor)
        try:
            await writer.open()
        except BaseException:
            await writer.abort()
            raise
        return writer


class WriterAdapter(SinkWriter):
    def __init__(
        self, writer_class: type, upload: UploadInfo, executor: ThreadPoolExecutor
    ) -> None:
        self._writer_class = writer_class
        self._upload = upload
        self._executor = executor
        self._writer: Any = None
        self._index = 0
        self._file: WriterFile | None = None

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, function, *args)
        except UploadError:
            raise
        except Exception as exc:
            raise SinkError(f"{self._writer_class.__name__}: {exc}") from exc

    async def open(self) -> None:
        await self._run(self._open)

    def _open(self) -> None:
        self._writer = self._writer_class(
            upload_id=self._upload.key,
            filename=self._upload.client_name,
            content_type=self._upload.content_type,
            expected_size=self._upload.size,
        )
        self._writer.open()

    async def write(self, chunk: bytes) -> None:
        await self._run(self._write, chunk)
        self.offset += len(chunk)

    def _write(self, chunk: bytes) -> None:
        if _takes_index(self._writer_class):
            self._writer.write_chunk(chunk, chunk_index=self._index)
        else:
            self._writer.write_chunk(chunk)
        self._index += 1

    async def finish(self) -> SinkFile:
        if self._file is None:
            result = await self._run(self._writer.close)
            self._file = WriterFile(self._upload, result)
            self._executor.shutdown(wait=False)
        return self._file

    async def abort(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await self._run(writer.abort, ConnectionAbortedError("the upload did not complete"))
        self._executor.shutdown(wait=False)


@functools.cache
def _takes_index(writer_class: type) -> bool:
    """Whether ``write_chunk`` takes ``chunk_index``; writers of djust's older releases don't."""
    import inspect

    parameters = inspect.signature(writer_class.write_chunk).parameters  # type: ignore[attr-defined]
    return "chunk_index" in parameters


class WriterFile(SinkFile):
    """What a writer stored: ``metadata["writer_result"]`` says where; nothing can read it back."""

    def __init__(self, upload: UploadInfo, result: Any) -> None:
        super().__init__(
            upload.safe_client_name,
            upload.size,
            content_type=upload.content_type,
            metadata={"writer_result": result},
        )

    def open_stored(self) -> Any:
        raise ValueError("An UploadWriter's file can't be read back; see entry.writer_result.")

    async def adelete(self) -> None:
        """djust has no way to delete what a writer stored."""
