"""``Connection``: the owner, the client and the event loop of one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from django.utils import translation

from ..exceptions import UploadError
from ..resuming.owners import upload_id_of
from ..settings import upload_settings
from ..wire import CHECKED_HEADER_SIZE, together

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: Bytes of a file that one frame carries at most, unless the setting says otherwise. Longer ones
#: would not be faster, and a frame is in memory as a whole.
MAX_FRAME_SIZE = 8 * 1024 * 1024

#: Bytes of a message that every server takes: daphne's default, the least of all.
DEFAULT_MESSAGE_SIZE = 1024 * 1024

#: Seconds for which reports wait for others.
COLLECTING_TIME = 0.02

#: The tasks that were started. asyncio only holds weak references, and a task must end even if
#: nobody else refers to its manager any more.
_tasks: set[asyncio.Task[Any]] = set()


class Connection:
    """Sends messages to the client, and starts tasks on the event loop from any thread."""

    def __init__(self) -> None:
        #: Whose uploads these are; see :func:`~djust_uploads.resuming.owners.owner_of`. Uploads of
        #: a connection without an owner end with the connection.
        self.owner: str | None = None
        self._only: str | None = None
        #: Bytes of the longest message that the host's server takes, as far as the door knows.
        self.max_message_size: int = DEFAULT_MESSAGE_SIZE
        #: Whether the client takes lists of messages: it has sent one.
        self.takes_lists: bool = False
        #: The language of the page; see :func:`~djust_uploads.uploads.languages.language_of`.
        self.language: str | None = None
        #: Ends the connection because of an error, if the door can.
        self.hang_up: Callable[[UploadError], Awaitable[None]] | None = None
        self._send: Send | None = None
        #: By ref: reports that wait for others, to be sent with them.
        self._reports: dict[str, Mapping[str, Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def reach(self, send: Send) -> None:
        """Send to the client with ``send`` from now on. Call it on the connection's event loop."""
        self._send = send
        self._loop = asyncio.get_running_loop()

    @property
    def reached(self) -> bool:
        """Whether the client has registered or resumed an upload."""
        return self._loop is not None

    def max_frame_size(self, chunk_size: int) -> int:
        """Return how many bytes of a file one frame may carry: whole chunks, and at least one."""
        most = upload_settings().max_frame_size or MAX_FRAME_SIZE
        chunks = min(most, self.max_message_size - CHECKED_HEADER_SIZE) // chunk_size
        return max(1, chunks) * chunk_size

    def upload_id(self, ref: str) -> str | None:
        """Return the name under which an upload of this owner is resumed."""
        if self._only:
            return self._only
        return upload_id_of(self.owner, ref) if self.owner else None

    def hold_only(self, upload_id: str, owner: str) -> None:
        """Let the connection have one upload only.

        ``owner`` is whose uploads it counts among, if it waits on afterwards.
        """
        self._only, self.owner = upload_id, owner

    @property
    def holds_one(self) -> bool:
        """Whether the connection has one upload only, of which its receipt tells."""
        return self._only is not None

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises an exception if the connection is known to be gone."""
        # What happened before is told before.
        await self._send_reports()
        if self._send:
            await self._send(self._translated(message))

    def _translated(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a message with its error in the language of the page. So are those in a list."""
        if "uploads" in message:
            return {**message, "uploads": [self._translated(one) for one in message["uploads"]]}
        if "error" not in message:
            return message
        with translation.override(self.language):
            return {**message, "error": str(message["error"])}

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message that nothing depends on, to a client that may be gone."""
        with contextlib.suppress(Exception):
            await self.send(message)

    def collect(self, message: Mapping[str, Any]) -> None:
        """Send a report on an upload a moment later, together with others. The last one counts."""
        if not self._reports:
            asyncio.get_running_loop().call_later(COLLECTING_TIME, self.spawn, self._send_reports)
        self._reports[message["ref"]] = message

    async def _send_reports(self) -> None:
        reports, self._reports = list(self._reports.values()), {}
        if reports and self._send:
            with contextlib.suppress(Exception):
                await self._send(together("upload_progress", [dict(one) for one in reports]))

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the event loop. May be called from any thread."""
        # If the server has ended, the loop is closed. Its tasks were cancelled, and have cleaned
        # up.
        with contextlib.suppress(RuntimeError):
            assert self._loop
            self._loop.call_soon_threadsafe(function, *args)

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function in a task on the event loop. May be called from any thread."""

        def start() -> None:
            task = asyncio.ensure_future(function())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

        self.soon(start)
