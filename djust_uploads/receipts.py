"""Receipts: what a client gets for a complete upload, and what an application makes of it.

A receipt is a signed token that is bound to a slot and to an owner. The application turns it into
the entry, in any view and in any process that shares ``RESUME_CACHE``. It gets each upload once::

    from djust_uploads import receipts

    async def publish(request):
        entry = await receipts.consume(request.POST["receipt"], request, slot="films")
        await entry.asave(f"films/{entry.client_name}")

A view that may refuse what else is in the request looks at the file first, and consumes it when
all is well::

    async with receipts.claimed(token, request, slot="films") as claim:
        form = FilmForm(request.POST, files={"film": claim.entry.file})
        if await sync_to_async(form.is_valid)():
            await claim.consume()
            await sync_to_async(form.save)()

Where the form is shown again, the same receipt is still good, and :func:`peek` tells what it is
for. :func:`issue` makes a new one.

Each upload whose sink does not keep files (a temporary file, for example) is deleted when nobody
refers to its ``entry.file`` any more, unless it was saved elsewhere by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import random
import threading
import weakref
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.core import signing

from .exceptions import (
    InvalidSlot,
    NotComplete,
    NotResumable,
    ReceiptExpired,
    ReceiptForeign,
    ReceiptForged,
    ReceiptUsed,
    UploadCancelled,
    UploadLocked,
)
from .lifecycle import moves
from .lifecycle.notifying import notify
from .lifecycle.observer import Observer
from .lifecycle.sending import delivered
from .resuming.leases import Lease
from .resuming.owners import is_by_secret, owner_by_secret, owner_of, upload_id_of
from .settings import upload_settings
from .slots.entry import UploadEntry
from .slots.slot import UploadSlot
from .slots.status import Status
from .uploads import process, takings
from .uploads.authorization import PERMISSIONS
from .uploads.manager import UploadManager
from .uploads.resumption import AlreadyConsumed
from .uploads.sessions import Requester

if TYPE_CHECKING:
    from .files import SinkFile
    from .sinks.base import Sink
    from .transfer.transfer import Transfer

logger: logging.Logger = logging.getLogger("djust_uploads")

#: How often to wait for an upload that another request holds: 3 seconds altogether.
_ATTEMPTS = 8

_SALT = "djust_uploads.receipts"


@dataclass(frozen=True)
class Receipt:
    """What a receipt says. Nobody but us can have written it."""

    #: The slot, and the upload's ref in it.
    upload_name: str
    ref: str
    client_name: str
    #: Bytes.
    size: int
    content_type: str
    #: Names the upload and its owner, and tells nothing about the owner.
    upload_id: str
    #: Whether whoever has the receipt is the owner: the client had no user and no session.
    bearer: bool


def issue(entry: UploadEntry, owner: str) -> str:
    """Return a receipt for a complete entry of an owner. It is good for ``RESUME_TTL`` seconds.

    ``owner`` is what :func:`~djust_uploads.resuming.owners.owner_of` returns, for example.
    """
    return _signed(
        Receipt(
            upload_name=entry.upload_name,
            ref=entry.ref,
            client_name=entry.client_name,
            size=entry.client_size,
            content_type=entry.content_type,
            upload_id=upload_id_of(owner, entry.ref),
            bearer=is_by_secret(owner),
        )
    )


def reissue(token: str, request: Any, *, slot: str | None = None) -> str:
    """Return a new receipt for the upload of one that is still good. Raises what :func:`read`
    raises."""
    return _signed(read(token, request, slot=slot))


def _signed(receipt: Receipt) -> str:
    return signing.dumps(vars(receipt), salt=_SALT, compress=True)


def read(token: str, request: Any, *, slot: str | None = None) -> Receipt:
    """Return what a receipt says, if it is ours, this owner's, and for ``slot``.

    ``request`` is a Django request, or an ASGI scope with ``user`` and ``session``. Whether the
    upload is still there, :func:`peek` tells. Raises :class:`ReceiptForged`,
    :class:`ReceiptExpired` and :class:`ReceiptForeign`.
    """
    return _checked(token, _owner(request), slot)


def _checked(token: str, owner: str | None, slot: str | None) -> Receipt:
    try:
        content = signing.loads(token, salt=_SALT, max_age=int(upload_settings().resume_ttl))
        receipt = Receipt(**content)
    except signing.SignatureExpired as exc:
        raise ReceiptExpired(str(exc)) from None
    except (signing.BadSignature, TypeError, ValueError) as exc:
        raise ReceiptForged(repr(exc)) from None
    if slot is not None and receipt.upload_name != slot:
        raise ReceiptForeign(f"it is for the slot {receipt.upload_name!r}, not {slot!r}")
    if not receipt.bearer and (not owner or upload_id_of(owner, receipt.ref) != receipt.upload_id):
        raise ReceiptForeign(f"{owner} is not its owner")
    return receipt


async def peek(token: str, request: Any, *, slot: str | None = None) -> Receipt:
    """Return what a receipt says, if its upload still waits to be consumed.

    Raises what :func:`read` raises, :class:`ReceiptUsed` and :class:`ReceiptExpired`.
    """
    receipt = _checked(token, owner_of(await _scope_of(request)), slot)
    transfer = process.parking.get(receipt.upload_id)
    if transfer is None or transfer.is_saved:
        saved = await Lease.find(receipt.upload_id)
        if saved is None:
            raise ReceiptExpired(f"nothing is known of {receipt.ref}")
        if saved.status == "consumed":
            raise ReceiptUsed(receipt.ref)
    elif transfer.entry.status is Status.CONSUMED:
        raise ReceiptUsed(receipt.ref)
    return receipt


class Claim:
    """A complete upload that one request holds. Nobody else gets it meanwhile."""

    def __init__(self, transfer: Transfer) -> None:
        #: The application's own entry: nothing but the application refers to it and to its file.
        self.entry: UploadEntry = transfer.entry.twin()
        self._transfer = transfer
        #: Whether the application has the file now.
        self.consumed: bool = False

    async def consume(self) -> UploadEntry:
        """Take the upload, for good.

        Raises :class:`UploadLocked` if another process holds it now.
        """
        entry, transfer = self.entry, self._transfer
        if entry.keeps_file:
            # If the process dies after this, a file is kept that nobody took. The other way round,
            # a file that somebody took would be swept.
            await entry.file.akeep()
        if not await transfer.consumed():
            raise UploadLocked(f"another process has {entry!r}")
        process.parking.forget(transfer)
        for consumed in (transfer.entry, entry):
            consumed.consume()
        notify(Observer.consumed, transfer.entry)
        self.consumed = True
        if not entry.keeps_file:
            _delete_with(entry)
        return entry

    async def discard(self) -> None:
        """Delete the upload, for good: the user does not want it any more."""
        process.parking.forget(self._transfer)
        if await self._transfer.discard():
            takings.give_back(self._transfer.entry)
        error = UploadCancelled("the user has removed it")
        moves.fail(self._transfer.entry, error)
        self.entry.fail(error)
        self.consumed = True


@contextlib.asynccontextmanager
async def claimed(
    token: str, request: Any, *, slot: str | None = None, sink: Sink | None = None
) -> AsyncIterator[Claim]:
    """Hold the upload of a receipt. Unless the block consumes it, it waits on.

    ``sink`` is needed for an upload whose slot has a sink without an alias, if another process
    stored it. Raises what :func:`read` raises, :class:`ReceiptUsed`, :class:`ReceiptExpired` if
    the upload is gone, and :class:`UploadLocked` while another request holds it. Raises
    :class:`Forbidden` or :class:`Unauthenticated` if the user may not upload there any more.
    """
    requester = await _requester_of(request)
    owner = owner_of(requester.scope)
    receipt = _checked(token, owner, slot)
    manager = UploadManager()
    manager.authorization.requester = requester
    manager.authorization.recall(None if isinstance(request, Mapping | Requester) else request)
    # The upload is found by its id, which the receipt has instead of the owner. A bearer is one of
    # those without a user and a session.
    whose = owner_by_secret("") if receipt.bearer or owner is None else owner
    manager.connection.hold_only(receipt.upload_id, whose)
    manager.configure(await _slot_of(receipt, sink))
    try:
        transfer = await _taken(manager, receipt)
        with manager.busy_with(transfer.entry):
            claim = Claim(transfer)
            yield claim
            if claim.consumed:
                manager.roster.remove(transfer.entry.ref)
            await delivered(transfer.entry)
    finally:
        await manager.aclose()


async def consume(
    token: str, request: Any, *, slot: str | None = None, sink: Sink | None = None
) -> UploadEntry:
    """Return the complete entry of a receipt, once. Its file is the application's from now on.

    While another request holds the upload, this waits for some seconds. Raises what :func:`claimed`
    raises.
    """
    for attempt in range(_ATTEMPTS):
        try:
            async with claimed(token, request, slot=slot, sink=sink) as claim:
                return await claim.consume()
        except UploadLocked:
            # Of two that take the upload from each other, both may have failed.
            await asyncio.sleep(random.uniform(0.5, 1) * 0.1 * (attempt + 1))
    async with claimed(token, request, slot=slot, sink=sink) as claim:
        return await claim.consume()


def consume_sync(
    token: str, request: Any, *, slot: str | None = None, sink: Sink | None = None
) -> UploadEntry:
    """Do what :func:`consume` does, for views that are not ``async``."""
    entry: UploadEntry = async_to_sync(consume)(token, request, slot=slot, sink=sink)
    return entry


def peek_sync(token: str, request: Any, *, slot: str | None = None) -> Receipt:
    """Do what :func:`peek` does, for views that are not ``async``."""
    receipt: Receipt = async_to_sync(peek)(token, request, slot=slot)
    return receipt


async def _taken(manager: UploadManager, receipt: Receipt) -> Transfer:
    changed = asyncio.Event()

    async def hear(message: Mapping[str, Any]) -> None:
        changed.set()

    try:
        transfer = await manager.take_over(receipt.ref, hear)
    except AlreadyConsumed:
        raise ReceiptUsed(receipt.ref) from None
    except NotResumable as exc:
        raise ReceiptExpired(str(exc)) from exc
    while True:
        if transfer.listener is not manager:
            # Another request of this process has taken it meanwhile, and hears of its end.
            raise UploadLocked("another request has it")
        if transfer.is_complete:
            return transfer
        if transfer.entry.restored and not transfer.entry.all_received:
            raise NotComplete(f"{transfer.entry!r} is on its way")
        if isinstance(error := transfer.client.stopped, UploadLocked):
            # Another process has taken it meanwhile.
            raise error
        if error:
            raise ReceiptExpired(str(error)) from error
        await changed.wait()
        changed.clear()


async def _slot_of(receipt: Receipt, sink: Sink | None) -> UploadSlot:
    """Return a slot that takes the upload: the real one has judged it already."""
    transfer = process.parking.get(receipt.upload_id)
    if transfer:
        return transfer.slot
    saved = await Lease.find(receipt.upload_id)
    if saved is None:
        raise ReceiptExpired(f"nothing is known of {receipt.ref}")
    try:
        return UploadSlot(
            receipt.upload_name,
            max_file_size=saved.client_size,
            sink=sink or saved.sink or None,
            resumable=True,
            allow_active_content=True,
            permission_required=saved.notes.get(PERMISSIONS, ()),
        )
    except Exception as exc:
        raise InvalidSlot(
            f"The upload went to {saved.sink}, which is no alias of DJUST_UPLOADS['SINKS']. "
            "Give the sink an alias, or pass it as 'sink'."
        ) from exc


def _owner(request: Any) -> str | None:
    if isinstance(request, Mapping):
        return owner_of(request)
    return owner_of({"user": getattr(request, "user", None), "session": _session(request)})


async def _scope_of(request: Any) -> Mapping[str, Any]:
    """Return the user and the session of a request, as an ASGI scope has them."""
    if isinstance(request, Mapping):
        return request
    if isinstance(request, Requester):
        return request.scope
    # On an event loop, ``request.user`` may not ask the database.
    auser = getattr(request, "auser", None)
    user = await auser() if auser else getattr(request, "user", None)
    return {"user": user, "session": _session(request)}


async def _requester_of(request: Any) -> Requester:
    if isinstance(request, Requester):
        return request
    # A scope may be that of a socket which has been open for hours.
    return Requester(dict(await _scope_of(request)), fresh=not isinstance(request, Mapping))


def _session(request: Any) -> Any:
    return getattr(request, "session", None)


def _delete_with(entry: UploadEntry) -> None:
    """Delete the stored bytes when the file object goes, as Django does with temporary files."""
    # What deletes must not keep alive what it waits for.
    twin = copy.copy(entry.file)
    twin.file = None
    # At the end of the process, a thread can no longer be started. A sweep finds the file then.
    weakref.finalize(entry.file, _delete, twin).atexit = False


def _delete(file: SinkFile) -> None:
    # There may be an event loop here or none, and it may be the one that the file needs least.
    threading.Thread(target=asyncio.run, args=(_adelete(file),), name="upload-delete").start()


async def _adelete(file: SinkFile) -> None:
    try:
        await file.adelete()
    except Exception:
        logger.exception("could not delete %s; a sweep may find it", file.name)
