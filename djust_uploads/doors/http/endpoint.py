"""``UploadEndpoint``: the ASGI application that takes uploads over HTTP."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import translation

from ...exceptions import Forbidden, Unauthenticated, UploadError
from ...resuming.owners import owner_of
from ...settings import upload_settings
from ...slots.entry import UploadEntry
from ...uploads.languages import language_of, load_catalogue
from ...uploads.manager import UploadManager
from ...uploads.sessions import Requester
from ..handlers import call
from ..messages import reads_ahead
from . import draft, tus
from .addresses import Address
from .concatenation import slot_for_parts
from .draft import Draft
from .intents import Limits, Protocol
from .interim import Interim
from .origins import Origins
from .plain import Plain
from .problems import MethodNotAllowed, UnsupportedVersion, status_of
from .request import Disconnected, Request
from .response import Response
from .service import Service
from .tus import Tus

logger: logging.Logger = logging.getLogger("djust_uploads")

#: The most bytes of one request's body on a server that buffers whole bodies, such as daphne.
BUFFERED_APPEND = 8 * 1024 * 1024

#: Seconds beyond ``IDLE_TIMEOUT`` that the core waits for bytes. The request ends before that.
_PATIENCE = 30.0

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
            "http": AuthMiddlewareStack(URLRouter([
                path("uploads/", FilmUploads.as_asgi()),
                re_path("", get_asgi_application()),
            ])),
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
        :class:`~djust_uploads.exceptions.Unauthenticated` for a token that is not good
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
        language = language_of(scope)
        await load_catalogue(language)
        try:
            # An error's sentence is written in the client's language.
            with translation.override(language):
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
            service = self._service(self._protocol, address)
            if address.ref:
                return await service.serve(request, address)
            if request.method not in ("POST", "PUT"):
                raise MethodNotAllowed(request.method)
            return await service.create(request, address)
        except Disconnected:
            logger.info("%s: the client has gone", self.scope["path"])
            return None
        except UnsupportedVersion as error:
            return tus.refused_version(error)
        except MethodNotAllowed as error:
            return Response.problem(error, headers={"Allow": _METHODS})
        except UploadError as error:
            level = logging.WARNING if status_of(error) >= 500 else logging.INFO
            logger.log(level, "%s refused (%s): %s", request.method, error.code, error)
            return self._refused(error)
        except PermissionDenied as exc:
            return self._refused(Forbidden(str(exc)))
        except Exception:
            logger.exception("%s %s failed", request.method, self.scope["path"])
            return self._refused(UploadError("see the log"))

    def _refused(self, error: UploadError) -> Response:
        response = self._protocol.refused(error) if self._protocol else Response.problem(error)
        if isinstance(error, Unauthenticated):
            # RFC 9110, section 15.5.2, asks for it.
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _spoken(self, request: Request, address: Address) -> Protocol:
        # tus-js-client adds headers of tus to requests of the draft.
        if draft.is_spoken_in(request) and "tus-resumable" not in request:
            return Draft(request)
        if tus.is_spoken_in(request):
            return Tus(request)
        return Draft(request) if address.ref else Plain(request, address.name)

    async def _options(self, request: Request) -> Response:
        """Answer what is spoken here, and a browser that asks for another origin's page."""
        limits = None
        try:
            address = await self._mounted(Address.of(self.scope))
            limits = self._limits(address)
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
        manager.configure(slot_for_parts(slot))
        # A request that stands still is ended here, and its upload waits for another one.
        manager.patience = _PATIENCE
        # The user of a token was found just now, and has no session.
        manager.authorization.requester = Requester(self.scope, fresh=True)
        self._upload_manager = manager
        return address

    def _service(self, protocol: Protocol, address: Address) -> Service:
        async def uploaded(entry: UploadEntry) -> Any:
            return await call(self.uploaded, entry=entry)

        assert self._upload_manager
        return Service(
            self._upload_manager,
            protocol,
            self._limits(address),
            owner_of(self.scope),
            interim=self._interim,
            absolute=self._origins.absolute,
            uploaded=uploaded,
        )

    def _limits(self, address: Address) -> Limits:
        assert self._upload_manager
        slot = self._upload_manager.roster.slots[address.slot]
        return Limits(slot.max_file_size, self._max_append, int(upload_settings().resume_ttl))
