"""What the client is told about one upload, and through which connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .. import wire

if TYPE_CHECKING:
    from ..flow.window import Window
    from ..slots.entry import UploadEntry


class Recipient(Protocol):
    """Who takes the messages for an upload's client: a connection, or the parking without one."""

    #: Whether a client is at the other end. The parking is not attached to a client.
    attached: bool

    #: Seconds beyond ``IDLE_TIMEOUT`` after which an upload of a silent client ends. A door that
    #: looks after silent clients itself needs some.
    patience: float

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the client. Raises an exception if the connection is gone."""


class Reports:
    """Tells an upload's client where the upload stands.

    ``lost(recipient, exc)`` is called when a message could not be sent.
    """

    def __init__(
        self,
        entry: UploadEntry,
        window: Window,
        recipient: Recipient,
        lost: Callable[[Recipient, Exception], None],
    ) -> None:
        self.recipient = recipient
        self._entry = entry
        self._window = window
        self._lost = lost

    @property
    def attached(self) -> bool:
        """Whether the upload has a connection to its client."""
        return self.recipient.attached

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message about the upload."""
        recipient = self.recipient
        try:
            await recipient.send(message)
        except Exception as exc:
            # While we do not read the socket of a client that oversteps its limit, we do not notice
            # that the client has gone. A message that cannot be sent is then the only sign.
            self._lost(recipient, exc)

    async def progress(self) -> None:
        """Send ``upload_progress``: the upload's status, offset and limit as they are now."""
        entry = self._entry
        await self.tell(
            wire.progress(
                entry.ref,
                entry.upload_name,
                str(entry.status),
                progress=entry.progress,
                offset=entry.offset,
                limit=self._window.tell(),
                taken=entry.taken,
            )
        )

    def answer_resume(self) -> dict[str, Any]:
        """Return ``upload_resumed``, which tells the client from which byte on it sends."""
        entry = self._entry
        return wire.resumed(
            entry.ref,
            entry.upload_name,
            position=entry.resume(),
            offset=entry.offset,
            limit=self._window.tell(),
            chunk_size=entry.chunk_size,
            max_frame_size=entry.max_frame_size,
            progress=entry.progress,
        )
