"""Asks, when a handler consumes an entry, whether the application may still have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation

from ..exceptions import SessionEnded, UploadError
from ..slots.entry import UploadEntry
from ..slots.slot import UploadSlot
from .authorization import Authorization, NotChecked


class AuthorizationGate:
    """Lets the entries of one loop pass that are still authorised.

    ``refuse`` is called with an entry that is not, and with the error. If the session has ended, or
    if it cannot be found out, the loop raises the error, and the entry stays.
    """

    def __init__(
        self,
        authorization: Authorization,
        slot: UploadSlot,
        refuse: Callable[[UploadEntry, UploadError], None],
    ) -> None:
        self._authorization = authorization
        self._slot = slot
        self._refuse = refuse
        self._looked = False

    def passes(self, entry: UploadEntry) -> bool:
        """Return whether the application gets the entry. Blocks, so it needs a thread."""
        if not _on_event_loop():
            # What the application asks in threads of Django runs in this one, so that a handler
            # which holds the only such thread does not wait for itself.
            error: UploadError | None = async_to_sync(self._error)(entry)
            return self._passes(entry, error)
        if self._authorization.asks(self._slot):
            raise SynchronousOnlyOperation(
                "On an event loop, use 'async for' to consume entries of a slot that has "
                "permissions, or of a class that has authorize_upload()."
            )
        # The session cannot be looked at here. While uploads run, it is looked at now and then.
        return True

    async def apasses(self, entry: UploadEntry) -> bool:
        """Return whether the application gets the entry."""
        return self._passes(entry, await self._error(entry))

    def _passes(self, entry: UploadEntry, error: UploadError | None) -> bool:
        if error is None:
            return True
        if isinstance(error, SessionEnded | NotChecked):
            raise error
        self._refuse(entry, error)
        return False

    async def _error(self, entry: UploadEntry) -> UploadError | None:
        try:
            if not self._looked:
                await self._authorization.look()
                self._looked = True
            await self._authorization.judge(self._slot, entry)
        except UploadError as error:
            return error
        return None


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
