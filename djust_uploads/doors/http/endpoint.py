"""``UploadEndpoint``: the ASGI application that takes uploads over HTTP."""

from __future__ import annotations

import dataclasses
import json
import logging
import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder

from ... import receipts
from ...exceptions import DigestMismatch, Forbidden, UploadError, WrongOffset
from ...resuming.owners import owner_of
from ...settings import upload_settings
from ...slots.entry import UploadEntry
from ...slots.slot import UploadSlot
from ...slots.status import Status
from ...uploads.manager import UploadManager
from ...uploads.resumption import AlreadyConsumed
from ...wire import Registration
from ..handlers import call
from ..messages import reads_ahead
from . import draft, tus
from .addresses import Address
from .draft import Draft
from .exchange import Exchange
from .intents import Append, Creation, Limits, Protocol, Standing
from .interim import Interim
from .origins import Origins
from .plain import Plain
from .problems import (
    BodyTooLarge,
    Gone,
    InconsistentLength,
    MethodNotAllowed,
    RequestTimeout,
    UnsupportedVersion,
)
from .request import Disconnected, Request
from .response import Response
from .stored import stored_response
from .tus import Tus

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The most bytes of one request's body on a server that buffers whole bodies, such as daphne.
BUFFERED_APPEND = 8 * 1024 * 1024

#: Errors of one request, after which the client may go on with the upload.
_HARMLESS = (WrongOffset, InconsistentLength, BodyTooLarge, DigestMismatch, RequestTimeout)

_METHODS = "OPTIONS, POST, PUT, HEAD, PATCH, DELETE, GET"


class UploadEndpoint:
    """Takes uploads over HTTP: by tus 1.0, by the IETF's draft, and by plain POST and PUT.

    Combine it with ``UploadMixin``, and route it with Channels' ``URLRouter``::

        class FilmUploads(UploadMixin, UploadEndpoint):
            def mount(self):
                self.allow_upload("films", accept="video/*", max_file_size=10 * GB, sink="media")

            async def uploaded(self, entry):
                return {"name": entry.client_name}

        application = ProtocolTypeRouter({
            "http": URLRouter([
                path("uploads/", AuthMiddlewareStack(FilmUploads.as_asgi())),
                re_path("", get_asgi_application()),
            ]),
        })

    Clients create uploads at ``uploads/`` or ``uploads/films/``. One instance serves one request.
    Every slot is resumable here, because that is what the protocols are for.
    """

    _upload_manager: UploadManager | None = None

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """Return the ASGI application. ``initkwargs`` are passed to each instance."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await cls(**initkwargs)(scope, receive, send)

        application.endpoint_class = cls  # type: ignore[attr-defined]
        # Channels' URLRouter takes the route as the beginning of a path, and passes the rest on.
        application._path_routing = True  # type: ignore[attr-defined]
        return application

    # An application overrides these.

    def mount(self) -> Any:
        """Declare the slots. May be ``async``.

        ``self.scope`` has the user and the session, if the endpoint is wrapped in Channels'
        middleware. Raise :class:`~djust_uploads.exceptions.Forbidden` for a client that may not
        upload here.
        """

    def authenticate(self, authorization: str) -> Any:
        """Return the user whom the header ``Authorization`` names, or ``None``. May be ``async``.

        It is called for each request that has the header. What it returns becomes
        ``self.scope["user"]``, and needs ``pk`` and ``is_authenticated``. Such a client brings its
        credentials itself, so requests that it makes for another site's page are no danger, and
        are not looked for. Raise
        :class:`~djust_uploads.doors.http.problems.Unauthenticated` for a token that is not good
        (any more). The upload waits for a request with a better one.
        """
        return None

    def uploaded(self, entry: UploadEntry) -> Any:
        """Look at a complete upload. What it returns goes to the client as JSON. May be ``async``.

        Consume the entry here with ``consume_uploaded_entries()``, or leave it for the receipt.
        Raise a subclass of :class:`~djust_uploads.ValidationFailed` to refuse the file. After any
        other exception the client may ask again, and this is called again.
        """
        return None

    # One request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = dict(scope)
        self._max_append = BUFFERED_APPEND if reads_ahead(receive) else None
        self._interim = Interim(scope, send)
        self._origins = Origins(scope)
        self._protocol: Protocol | None = None
        try:
            request = Request(scope, receive)
        except UploadError as error:
            request = Request({**scope, "headers": []}, receive)
            await self._respond(Response.problem(error), request, send)
            return
        try:
            response = await self._response(request)
            if response:
                await self._respond(response, request, send)
        finally:
            if self._upload_manager:
                await self._upload_manager.aclose()

    async def _respond(self, response: Response, request: Request, send: Any) -> None:
        self._interim.close()
        own = self._protocol.headers() if self._protocol else {}
        response.headers = {**own, **self._origins.headers(), **response.headers}
        await response.send(request, send)

    async def _response(self, request: Request) -> Response | None:
        """Return the answer, or ``None`` if the client has gone."""
        try:
            self._origins.check_host()
            if request.method == "OPTIONS":
                return await self._options(request)
            await self._authenticate(request)
            address = await self._mounted(Address.of(self.scope))
            self._protocol = self._spoken(request, address)
            if address.ref:
                return await self._to_upload(request, address)
            if request.method not in ("POST", "PUT"):
                raise MethodNotAllowed(request.method)
            return await self._create(request, address)
        except Disconnected:
            logger.info("%s: the client has gone", self.scope["path"])
            return None
        except UnsupportedVersion as error:
            return tus.refused_version(error)
        except MethodNotAllowed as error:
            return Response.problem(error, headers={"Allow": _METHODS})
        except UploadError as error:
            logger.warning("%s refused (%s): %s", request.method, error.code, error)
            return self._refused(error)
        except PermissionDenied as exc:
            return self._refused(Forbidden(str(exc)))
        except Exception:
            logger.exception("%s %s failed", request.method, self.scope["path"])
            return self._refused(UploadError("see the log"))

    def _refused(self, error: UploadError, standing: Standing | None = None) -> Response:
        if self._protocol:
            return self._protocol.refused(error, standing)
        return Response.problem(error)

    def _spoken(self, request: Request, address: Address) -> Protocol:
        if tus.is_spoken_in(request):
            return Tus(request)
        if draft.is_spoken_in(request) or address.ref:
            return Draft(request)
        return Plain(request, address.name)

    async def _options(self, request: Request) -> Response:
        """Answer what is spoken here, and a browser that asks for another origin's page."""
        limits = None
        try:
            address = await self._mounted(Address.of(self.scope))
            limits = self._limits(self._slot(address))
        except (UploadError, PermissionDenied):
            # Who asks before a request to another origin, brings no credentials.
            logger.debug("OPTIONS without limits", exc_info=True)
        headers = {"Allow": _METHODS, **tus.options(limits), **draft.options(limits)}
        return Response(204, headers | self._origins.preflight(_METHODS))

    async def _authenticate(self, request: Request) -> None:
        if authorization := request.header("authorization"):
            user = await call(self.authenticate, authorization=authorization)
            if user is not None:
                self.scope["user"] = user
                return
        if request.method not in ("GET", "HEAD"):
            self._origins.check_page(request)

    async def _mounted(self, address: Address) -> Address:
        """Let the application declare its slots, and return the address with its slot."""
        await call(self.mount)
        manager = self._upload_manager or UploadManager()
        slots = manager.roster.slots
        address = address.of_slot(slots)
        slot = slots[address.slot]
        slots.clear()
        manager.configure(dataclasses.replace(slot, resumable=True))
        self._upload_manager = manager
        return address

    @property
    def _manager(self) -> UploadManager:
        assert self._upload_manager
        return self._upload_manager

    def _slot(self, address: Address) -> UploadSlot:
        return self._manager.roster.slots[address.slot]

    def _limits(self, slot: UploadSlot) -> Limits:
        return Limits(slot.max_file_size, self._max_append, int(upload_settings().resume_ttl))

    # A new upload

    async def _create(self, request: Request, address: Address) -> Response | None:
        assert self._protocol
        creation, append = self._protocol.creation()
        owner = owner_of(self.scope)
        address = address.of_upload(str(uuid.uuid4()), anonymous=owner is None)
        self._manager.connection.owner = owner or address.owner
        exchange = Exchange(self._manager, self._progressed)
        await exchange.create(_registration(creation, address))
        exchange.entry.notes["echo"] = dict(creation.echo)
        standing = self._standing(exchange.entry, address)
        await self._interim.send(self._protocol.announced(standing))
        try:
            if append:
                await self._write(exchange, request, append)
        except (Disconnected, RequestTimeout, InconsistentLength):
            if not creation.resumable:
                await exchange.discard()
            raise
        standing = await self._settled(exchange, address)
        return self._protocol.created(standing)

    async def _progressed(self, offset: int) -> None:
        if self._protocol:
            await self._interim.progress(self._protocol.progressed(offset))

    async def _write(self, exchange: Exchange, request: Request, append: Append) -> None:
        """Store what the request carries, and complete the upload if that was all."""
        await exchange.write(request, append, self._max_append)
        entry = exchange.entry
        if append.completes or (append.completes is None and entry.received == entry.client_size):
            await self._complete(exchange)

    async def _complete(self, exchange: Exchange) -> None:
        """Let the sink store the file, and the application look at it, once."""
        await exchange.finish()
        entry = exchange.entry
        if "result" in entry.notes:
            return
        # The application may look for long. No other request may have the upload meanwhile.
        with self._manager.busy_with(entry), self._manager.turn():
            try:
                result = await call(self.uploaded, entry=entry)
            except UploadError:
                await exchange.discard()
                raise
            # This is saved before the application's consumption is: the client may have lost the
            # answer, and asks again.
            await exchange.transfer.note(result=_plain(result))

    async def _settled(self, exchange: Exchange, address: Address) -> Standing:
        """Return where the upload stands when all that arrived is as safe as it will be."""
        entry = exchange.entry
        if entry.status is Status.UPLOADING:
            await self._manager.aclose()
        return self._standing(entry, address)

    def _standing(self, entry: UploadEntry, address: Address) -> Standing:
        complete = entry.status in (Status.COMPLETE, Status.CONSUMED) or entry.complete
        receipt = ""
        if entry.status is Status.COMPLETE and self._manager.connection.owner:
            receipt = receipts.issue(entry, self._manager.connection.owner)
        return Standing(
            path=address.path,
            url=self._origins.absolute(address.path),
            offset=entry.client_size if complete else entry.received,
            length=entry.client_size,
            limits=self._limits(self._slot(address)),
            complete=complete,
            result=entry.notes.get("result"),
            receipt=receipt,
            sha256=entry.sha256 or "" if complete else "",
            echo=entry.notes.get("echo", {}),
        )

    # An upload that is there

    async def _to_upload(self, request: Request, address: Address) -> Response | None:
        assert self._protocol
        manager = self._manager
        manager.connection.owner = address.owner or owner_of(self.scope)
        exchange = Exchange(manager, self._progressed)
        try:
            await exchange.take_over(address.ref)
        except AlreadyConsumed as consumed:
            return self._of_consumed(request, address, UploadEntry.saved(consumed.saved))
        match request.method:
            case "HEAD":
                return await self._head(exchange, address)
            case "PATCH":
                return await self._patch(exchange, request, address)
            case "DELETE":
                await exchange.discard()
                return self._protocol.cancelled()
            case "GET":
                return await stored_response(exchange.entry)
        raise MethodNotAllowed(request.method)

    def _of_consumed(self, request: Request, address: Address, entry: UploadEntry) -> Response:
        """Answer a request to an upload whose file the application has.

        The client may not know yet that it is complete.
        """
        assert self._protocol
        entry.status = Status.CONSUMED
        standing = self._standing(entry, address)
        if request.method == "HEAD":
            return self._protocol.found(standing)
        if request.method == "PATCH" and not request.has_body:
            return self._protocol.appended(standing)
        raise Gone("the application has the file")

    async def _head(self, exchange: Exchange, address: Address) -> Response:
        assert self._protocol
        entry = exchange.entry
        # All bytes are there. Whoever sent them may have gone before the file was stored.
        if entry.all_received or (entry.received == entry.client_size and self._ends_by_length):
            await self._complete(exchange)
        return self._protocol.found(await self._settled(exchange, address))

    @property
    def _ends_by_length(self) -> bool:
        return isinstance(self._protocol, Tus)

    async def _patch(
        self, exchange: Exchange, request: Request, address: Address
    ) -> Response | None:
        assert self._protocol
        append = self._protocol.append()
        entry = exchange.entry
        if entry.all_received:
            return await self._append_again(exchange, request, append, address)
        try:
            await self._write(exchange, request, append)
        except _HARMLESS as error:
            return self._refused(error, await self._settled(exchange, address))
        return self._protocol.appended(await self._settled(exchange, address))

    async def _append_again(
        self, exchange: Exchange, request: Request, append: Append, address: Address
    ) -> Response:
        """Answer a client that does not know that it has sent everything."""
        assert self._protocol
        await self._complete(exchange)
        standing = self._standing(exchange.entry, address)
        if append.offset != standing.offset:
            return self._refused(WrongOffset(f"{exchange.entry!r} is complete"), standing)
        if request.has_body:
            return self._refused(InconsistentLength("the upload is complete"), standing)
        return self._protocol.appended(standing)


def _registration(creation: Creation, address: Address) -> Registration:
    return Registration(
        upload_name=address.slot,
        ref=address.ref,
        client_name=creation.name,
        client_type=creation.content_type,
        client_size=creation.length,
        client_relative_path=creation.relative_path,
        resumable=True,
        client_metadata=creation.metadata,
        expected_sha256=creation.expected_sha256,
    )


def _plain(result: Any) -> Any:
    """Return what the application returned as JSON has it. Raises ``TypeError`` if it cannot."""
    return json.loads(json.dumps(result, cls=DjangoJSONEncoder))
