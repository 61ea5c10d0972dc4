"""Does what a request asks of an upload, and answers it in the request's protocol."""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from ... import receipts
from ...exceptions import DigestMismatch, Forbidden, UploadError, WrongOffset
from ...slots.entry import UploadEntry
from ...slots.status import Status
from ...uploads.manager import UploadManager
from ...uploads.resumption import AlreadyConsumed
from ...wire import Registration
from .addresses import Address
from .concatenation import PARTIAL, Parts, is_partial
from .exchange import Exchange
from .intents import Append, Creation, Limits, Protocol, Standing
from .interim import Interim
from .problems import BodyTooLarge, Gone, InconsistentLength, MethodNotAllowed, RequestTimeout
from .request import Request
from .response import Response
from .stored import stored_response

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The methods of requests to the address of an upload.
_METHODS = ("HEAD", "PATCH", "DELETE", "GET")

#: Errors of one request, after which the client may go on with the upload.
HARMLESS = (WrongOffset, InconsistentLength, BodyTooLarge, DigestMismatch, RequestTimeout)


class Service:
    """Serves one request to the uploads of one slot.

    ``owner`` is the owner of uploads whose URL contains no secret, or ``None`` if the client has
    neither a user nor a session. ``absolute`` returns the URL of a path, and ``uploaded`` lets the
    application look at a complete entry.
    """

    def __init__(
        self,
        manager: UploadManager,
        protocol: Protocol,
        limits: Limits,
        owner: str | None,
        *,
        interim: Interim,
        absolute: Callable[[str], str],
        uploaded: Callable[[UploadEntry], Awaitable[Any]],
    ) -> None:
        self._manager = manager
        self._protocol = protocol
        self._limits = limits
        self._owner = owner
        self._interim = interim
        self._absolute = absolute
        self._uploaded = uploaded
        self._exchange = Exchange(manager, self._progressed)

    @property
    def _entry(self) -> UploadEntry:
        return self._exchange.entry

    async def _progressed(self, offset: int) -> None:
        await self._interim.progress(self._protocol.progressed(offset))

    # A new upload

    async def create(self, request: Request, address: Address) -> Response:
        """Create an upload at a new address, and store what the request carries of it."""
        creation, append = self._protocol.creation()
        address = address.of_upload(str(uuid.uuid4()), anonymous=self._owner is None)
        self._manager.connection.owner = self._owner or address.owner
        if creation.parts:
            return await self._concatenate(creation, address)
        await self._exchange.create(_registration(creation, address))
        await self._announce(address)
        try:
            if append:
                await self._write(request, append)
        except Exception:
            # Without an interim response, the client does not know the upload's address.
            if not (creation.resumable and self._interim.announced):
                await self._exchange.discard()
            raise
        return self._protocol.created(await self._settled(address))

    async def _announce(self, address: Address) -> None:
        await self._interim.announce(self._protocol.announced(self._standing(address)))

    async def _concatenate(self, creation: Creation, address: Address) -> Response:
        """Create an upload whose bytes are those of complete partial uploads."""
        async with Parts(self._manager, address, self._owner) as parts:
            length = await parts.take_over(creation.parts)
            await self._exchange.create(_registration(creation, address, length))
            try:
                async with contextlib.aclosing(parts.blocks()) as blocks:
                    async for block in blocks:
                        await self._exchange.feed(block)
                await self._complete()
            except Exception:
                await self._exchange.discard()
                raise
            await parts.discard()
        return self._protocol.created(await self._settled(address))

    async def _write(self, request: Request, append: Append) -> None:
        """Store what the request carries, and complete the upload if that was all."""
        await self._exchange.write(request, append, self._limits.max_append_size)
        ends_here = self._entry.received == self._entry.client_size
        if append.completes or (append.completes is None and ends_here):
            await self._complete()

    async def _complete(self) -> None:
        """Let the sink store the file, and the application look at it, once."""
        await self._exchange.finish()
        entry = self._entry
        if "result" in entry.notes or is_partial(entry.upload_name):
            return
        # The application may look for long. No other request may have the upload meanwhile.
        with self._manager.busy_with(entry), self._manager.turn():
            try:
                result = await self._uploaded(entry)
            except UploadError:
                await self._exchange.discard()
                raise
            # The application may not have it any more, and so has not got it.
            entry.raise_failed()
            # This is saved before the application's consumption is: the client may have lost the
            # answer, and asks again.
            await self._exchange.transfer.note(result=_as_json(result))

    # Where an upload stands

    async def _settled(self, address: Address) -> Standing:
        """Return where the upload stands when all that arrived is as safe as it will be."""
        if self._entry.status is Status.UPLOADING:
            await self._manager.aclose()
        return self._standing(address)

    def _standing(self, address: Address, entry: UploadEntry | None = None) -> Standing:
        entry = entry or self._entry
        complete = entry.status in (Status.COMPLETE, Status.CONSUMED)
        receipt = ""
        if entry.status is Status.COMPLETE and not is_partial(entry.upload_name):
            receipt = receipts.issue(entry, self._manager.connection.owner or "")
        return Standing(
            path=address.path,
            url=self._absolute(address.path),
            offset=entry.client_size if complete else entry.received,
            length=entry.client_size,
            limits=self._limits,
            complete=complete,
            result=entry.notes.get("result"),
            receipt=receipt,
            sha256=entry.sha256 or "" if complete else "",
            echo=entry.notes.get("echo", {}),
        )

    # An upload that is there

    async def serve(self, request: Request, address: Address) -> Response:
        """Serve a request to the address of an upload."""
        self._manager.connection.owner = address.owner or self._owner
        # What the protocol does not allow must not take the upload from the request that sends it.
        if request.method not in _METHODS:
            raise MethodNotAllowed(request.method)
        append = self._protocol.append() if request.method == "PATCH" else None
        if request.method == "GET":
            # Who looks at an upload must not end the request that sends it.
            await self._manager.check_complete(address.ref)
        try:
            await self._exchange.take_over(address.ref)
        except AlreadyConsumed as consumed:
            return self._of_consumed(request, address, UploadEntry.saved(consumed.saved))
        if append:
            return await self._append(request, append, address)
        if request.method == "HEAD":
            return await self._find(address)
        if request.method == "DELETE":
            await self._exchange.discard()
            return self._protocol.cancelled()
        if self._entry.all_received:
            await self._exchange.finish()
        return await stored_response(self._entry)

    def _of_consumed(self, request: Request, address: Address, entry: UploadEntry) -> Response:
        """Answer a request to an upload whose file the application has.

        The client may not know yet that it is complete.
        """
        entry.status = Status.CONSUMED
        standing = self._standing(address, entry)
        if request.method == "HEAD":
            return self._protocol.found(standing)
        if request.method == "PATCH" and not request.has_body:
            return self._protocol.appended(standing)
        raise Gone("the application has the file")

    async def _find(self, address: Address) -> Response:
        # All bytes may be there. Whoever sent them may have gone before the file was stored.
        all_here = self._entry.received == self._entry.client_size
        if self._entry.all_received or (self._protocol.ends_by_length and all_here):
            await self._complete()
        return self._protocol.found(await self._settled(address))

    async def _append(self, request: Request, append: Append, address: Address) -> Response:
        if "final" in self._entry.notes:
            # https://tus.io/protocols/resumable-upload#concatenation, "Upload-Concat"
            raise Forbidden("a final upload takes no bytes")
        try:
            if self._entry.all_received:
                await self._append_again(request, append)
            else:
                await self._write(request, append)
        except HARMLESS as error:
            # A whole file that has another digest than it must have is gone.
            self._entry.raise_failed()
            return self._protocol.refused(error, await self._settled(address))
        return self._protocol.appended(await self._settled(address))

    async def _append_again(self, request: Request, append: Append) -> None:
        """Accept that a client does not know that it has sent everything."""
        await self._complete()
        if append.offset != self._entry.client_size:
            raise WrongOffset(f"{self._entry!r} is complete")
        if request.has_body:
            raise InconsistentLength(f"{self._entry!r} is complete")


def _registration(creation: Creation, address: Address, length: int | None = None) -> Registration:
    return Registration(
        upload_name=f"{address.slot}{PARTIAL}" if creation.is_partial else address.slot,
        ref=address.ref,
        client_name=creation.name,
        client_type=creation.content_type,
        client_size=creation.length if length is None else length,
        client_relative_path=creation.relative_path,
        resumable=True,
        client_metadata=creation.metadata,
        expected_sha256=creation.expected_sha256,
        notes={
            **({"echo": dict(creation.echo)} if creation.echo else {}),
            **({"final": True} if creation.parts else {}),
        },
    )


def _as_json(result: Any) -> Any:
    """Return what the application returned as JSON has it. Raises ``TypeError`` if it cannot."""
    return json.loads(json.dumps(result, cls=DjangoJSONEncoder))
