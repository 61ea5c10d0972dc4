"""What becomes of the files of complete entries: they are kept, deleted or parked."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import wire
from ..exceptions import UploadCancelled, UploadError
from ..lifecycle import moves
from ..lifecycle.notifying import notify
from ..lifecycle.observer import Observer
from . import process, takings

if TYPE_CHECKING:
    from ..files import SinkFile
    from ..slots.entry import UploadEntry
    from ..transfer.transfer import Transfer
    from .connection import Connection

logger: logging.Logger = logging.getLogger("djust_uploads")


class Disposal:
    """Disposes of the files of one connection's complete entries, and tells the client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def consumed(self, entries: Iterable[UploadEntry]) -> None:
        """Keep or delete the files of entries that the application has consumed."""
        refs: dict[str, list[str]] = {}
        for entry in entries:
            # The order matters if the process dies in between. In this order the application may be
            # given a file twice; in any other order it might never be given it.
            if entry.keeps_file:
                await _keep(entry)
            if transfer := self._resumable(entry):
                await transfer.consumed()
                process.parking.forget(transfer)
            if not entry.keeps_file:
                await _delete(entry.file)
            notify(Observer.consumed, entry)
            refs.setdefault(entry.upload_name, []).append(entry.ref)
        for name, consumed in refs.items():
            await self._connection.tell(wire.consumed(name, consumed))

    async def cancelled(self, entry: UploadEntry) -> None:
        """Delete the file of a complete entry that the user or the application has dropped."""
        await self._delete(entry.file, self._resumable(entry))
        takings.give_back(entry)
        moves.fail(entry, UploadCancelled("cancelled when it was complete"))
        await self._connection.tell(
            wire.progress(
                entry.ref, entry.upload_name, str(entry.status), progress=0, offset=0, limit=0
            )
        )

    def refuse(self, entry: UploadEntry, error: UploadError) -> None:
        """End a complete entry that the application may not get. May be called in any thread."""
        file, transfer = entry.file, self._resumable(entry)
        self._connection.soon(takings.give_back, entry)
        entry.fail(error)

        async def delete() -> None:
            await self._delete(file, transfer)
            notify(Observer.failed, entry, error)
            await self._connection.tell(wire.failed(entry.ref, error, entry.upload_name))

        self._connection.spawn(delete)

    async def unconsumed(self, entries: Iterable[UploadEntry]) -> None:
        """Park complete entries that can be resumed, and delete the files of the others."""
        for entry in entries:
            if transfer := self._resumable(entry):
                process.parking.park(transfer, self._connection.owner or "")
            else:
                await _delete(entry.file)
                moves.fail(entry, UploadCancelled("the connection ended, nobody has consumed it"))

    async def _delete(self, file: SinkFile, transfer: Transfer | None) -> None:
        if transfer:
            process.parking.forget(transfer)
            await transfer.discard()
        else:
            await _delete(file)

    def _resumable(self, entry: UploadEntry) -> Transfer | None:
        """Return the entry's transfer if other connections may resume it.

        The client may have used its ref twice: for another upload on another connection, or for one
        that is not resumable.
        """
        transfer = process.parking.get(self._connection.upload_id(entry.ref))
        return transfer if transfer and transfer.entry is entry else None


async def _delete(file: SinkFile) -> None:
    try:
        await file.adelete()
    except Exception:
        logger.exception("could not delete %s; a sweep may find it", file.name)


async def _keep(entry: UploadEntry) -> None:
    try:
        await entry.file.akeep()
    except Exception:
        logger.exception("could not mark the file of %r as kept; a sweep may delete it", entry)
