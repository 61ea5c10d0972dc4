"""``Signals``: sends Django's signals for what happens to uploads."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .. import signals
from ..slots.entry import UploadEntry
from .observer import Observer

if TYPE_CHECKING:
    from django.dispatch import Signal

    from ..exceptions import UploadError

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The signal of each upload that was sent last, as long as its receivers run.
_last: WeakKeyDictionary[UploadEntry, asyncio.Task[None]] = WeakKeyDictionary()


class Signals(Observer):
    """Sends the signals of :mod:`djust_uploads.signals`, except for ``upload_completed``."""

    def refused(self, entry: UploadEntry, error: UploadError) -> None:
        send(signals.upload_failed, entry, error=error)

    def started(self, entry: UploadEntry) -> None:
        send(signals.upload_started, entry)

    def parked(self, entry: UploadEntry) -> None:
        if not entry.complete:
            send(signals.upload_parked, entry)

    def resumed(self, entry: UploadEntry) -> None:
        if not entry.complete:
            send(signals.upload_resumed, entry)

    def finalizing(self, entry: UploadEntry) -> None:
        send(signals.upload_finalizing, entry)

    def consumed(self, entry: UploadEntry) -> None:
        send(signals.upload_consumed, entry)

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        send(signals.upload_failed, entry, error=error)

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        send(signals.upload_cancelled, entry, reason=reason)

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        send(signals.upload_suspended, entry, reason=reason)


def send(signal: Signal, entry: UploadEntry, **details: Any) -> None:
    """Send a signal about an upload, without waiting for the receivers.

    The receivers run when those of the upload's signal before have returned.
    """
    # Without receivers this costs next to nothing.
    if not signal.receivers or not signal.has_listeners(UploadEntry):
        return
    task = asyncio.ensure_future(_send(_last.get(entry), signal, entry, details))
    _last[entry] = task


async def delivered(entry: UploadEntry, seconds: float | None = None) -> None:
    """Return when the receivers of all signals about the upload have returned.

    Receivers that take longer than ``seconds`` are not waited for.
    """
    task = _last.get(entry)
    # An upload that a request claims may have begun on another event loop.
    if task and task.get_loop() is asyncio.get_running_loop():
        await asyncio.wait([task], timeout=seconds)
        if task.done() and _last.get(entry) is task:
            del _last[entry]


async def _send(
    before: asyncio.Task[None] | None, signal: Signal, entry: UploadEntry, details: dict[str, Any]
) -> None:
    if before and before.get_loop() is asyncio.get_running_loop():
        await asyncio.wait([before])
    del before
    answers = await signal.asend_robust(UploadEntry, entry=entry, slot=entry.upload_name, **details)
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            logger.error("%r: %r raised", entry, receiver, exc_info=answer)
