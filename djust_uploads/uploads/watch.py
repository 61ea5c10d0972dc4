"""Looks at the session of a connection now and then while an upload runs, and ends both with it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .. import wire
from ..exceptions import SessionEnded, UploadError
from ..settings import upload_settings

if TYPE_CHECKING:
    from .authorization import Authorization
    from .connection import Connection
    from .roster import Roster

#: Seconds that a connection whose session has ended waits until its uploads have ended.
_END_TIMEOUT = 8.0


class SessionWatch:
    """Ends a connection whose session is over."""

    def __init__(
        self, roster: Roster, connection: Connection, authorization: Authorization
    ) -> None:
        self._roster = roster
        self._connection = connection
        self._authorization = authorization
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False

    def begin(self) -> None:
        """Watch, unless there is no upload, or nobody to watch. Call it on the event loop."""
        requester = self._authorization.requester
        if self._timer or requester is None or not self._roster.transfers:
            return
        seconds = upload_settings().session_interval
        self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if self._roster.transfers:
            self._connection.spawn(self._look)

    async def _look(self) -> None:
        # A database that fails now and then ends no upload. The log has its error.
        with contextlib.suppress(UploadError):
            await self._authorization.look()
        if self._authorization.ended:
            await self.end()
        else:
            self.begin()

    async def end(self) -> None:
        """Tell the client that its session has ended, and end the connection.

        What can be resumed is left alone: it is parked when the connection has ended.
        """
        if self._ending:
            return
        self._ending = True
        self.stop()
        authorization, roster = self._authorization, self._roster
        error = authorization.ended = authorization.ended or SessionEnded("the user logged out")
        ending = [one for one in roster.transfers.values() if not one.upload_id]
        for transfer in ending:
            transfer.stop(error)
        for entry in list(roster.entries.values()):
            if roster.transfers.get(entry.ref) not in ending:
                roster.remember(entry.ref)
                await self._connection.tell(wire.failed(entry.ref, error, entry.upload_name))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT):
                for transfer in ending:
                    await transfer.wait_ended()
        if self._connection.hang_up:
            await self._connection.hang_up(error)
