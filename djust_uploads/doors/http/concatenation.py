"""tus' extension Concatenation: a file that comes as several uploads at once.

https://tus.io/protocols/resumable-upload#concatenation

A partial upload has no name and no type, so nothing can judge it. It waits in a temporary file, or
in the sink with the alias ``"partials"`` if there is one. The final upload passes the bytes of its
parts through the slot's rules into the slot's sink, and then the parts are deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from urllib.parse import unquote, urlsplit

from ...conf import sinks
from ...exceptions import NotResumable, UploadError
from ...sinks.base import Sink
from ...sinks.temporary_file import TemporaryFileSink
from ...slots.slot import UploadSlot
from ...uploads.manager import UploadManager
from .addresses import Address
from .exchange import Exchange
from .problems import BadRequest
from .stored import blocks

#: The alias of the sink for partial uploads. Where several hosts serve one client, it must be one
#: that all of them share.
ALIAS = "partials"

#: What is added to a slot's name for its partial uploads. No URL can name such a slot.
PARTIAL = "/partial"

#: The most partial uploads of one final upload.
MAX_PARTS = 100

_temporary = TemporaryFileSink()


def is_partial(upload_name: str) -> bool:
    """Return whether a slot is one for partial uploads."""
    return upload_name.endswith(PARTIAL)


def sink_for_parts() -> Sink:
    """Return the sink of partial uploads."""
    if ALIAS in sinks:
        return sinks[ALIAS]
    return _temporary


def slot_for_parts(slot: UploadSlot) -> UploadSlot:
    """Return the slot in which the parts of a slot's uploads wait."""
    return UploadSlot(
        f"{slot.name}{PARTIAL}",
        max_file_size=slot.max_file_size,
        chunk_size=slot.chunk_size,
        sink=sink_for_parts(),
        resumable=True,
        allow_active_content=True,
        permission_required=slot.permissions,
    )


class Parts:
    """The partial uploads of one final upload, which belong to one owner.

    Each one has a manager of its own, as if it had a request of its own: parts of an anonymous
    client have different owners.
    """

    def __init__(self, manager: UploadManager, address: Address, owner: str | None) -> None:
        self._slots = manager.roster.slots
        self._address = address
        self._owner = owner
        self._managers: list[UploadManager] = []
        self._exchanges: list[Exchange] = []

    async def __aenter__(self) -> Parts:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for manager in self._managers:
            await manager.aclose()

    async def take_over(self, urls: Sequence[str]) -> int:
        """Take the uploads at some URLs over, and return the sum of their lengths in bytes.

        Raises :class:`BadRequest` for a URL that is no complete partial upload of this owner.
        """
        if len(urls) > MAX_PARTS:
            raise BadRequest(f"{len(urls)} parts, over {MAX_PARTS}")
        for url in urls:
            await self._take_over(url)
        return sum(exchange.entry.client_size for exchange in self._exchanges)

    async def _take_over(self, url: str) -> None:
        try:
            part = self._address.beside(unquote(urlsplit(url).path))
        except (UploadError, ValueError):
            raise BadRequest(f"no upload here: {url!r:.200}") from None
        manager = UploadManager()
        manager.connection.owner = part.owner or self._owner
        manager.configure(self._slots[f"{part.slot}{PARTIAL}"])
        self._managers.append(manager)
        exchange = Exchange(manager)
        try:
            await exchange.take_over(part.ref)
        except NotResumable as exc:
            raise BadRequest(f"no partial upload: {url!r:.200}") from exc
        entry = exchange.entry
        if entry.received != entry.client_size:
            raise BadRequest(f"an unfinished upload: {url!r:.200}")
        await exchange.finish()
        self._exchanges.append(exchange)

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the parts in their order."""
        for exchange in self._exchanges:
            async with contextlib.aclosing(blocks(exchange.entry)) as stored:
                async for block in stored:
                    yield block

    async def discard(self) -> None:
        """Delete the parts."""
        for exchange in self._exchanges:
            await exchange.discard()
