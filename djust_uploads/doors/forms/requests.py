"""Which request a form is validated in, and what becomes of its uploads afterwards."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from ...flow import bridge
from ...uploads.sessions import Requester
from .handler import FormUploadHandler
from .holding import Held

_current: ContextVar[FormRequest | None] = ContextVar("djust_uploads_form_request", default=None)


class FormRequest:
    """One request, and the uploads that its forms hold."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._held: dict[str, Held] = {}

    @functools.cached_property
    def requester(self) -> Requester:
        """Whose uploads come with the request. May block."""
        # The user is looked up now, because an event loop may not ask the database.
        request = self._request
        scope: dict[str, Any] = {n: getattr(request, n, None) for n in ("user", "session")}
        scope["client"] = (request.META.get("REMOTE_ADDR", ""), 0)
        scope["headers"] = [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ]
        return Requester(scope, fresh=True)

    def held(self, receipt: str) -> Held | None:
        """Return the upload of a receipt if a form of this request holds it already."""
        return self._held.get(receipt)

    def add(self, held: Held) -> None:
        """Hold an upload until the view has returned."""
        self._held[held.receipt] = held

    async def settle(self, response: HttpResponseBase | None) -> None:
        """Consume, release or delete the uploads. ``response`` is ``None`` after an error."""
        answered = response is not None and response.status_code < 400
        held, self._held = self._held, {}
        for upload in held.values():
            await upload.settle(answered=answered)

    @property
    def is_settled(self) -> bool:
        """Whether no form holds an upload."""
        return not self._held


def current_request() -> FormRequest | None:
    """Return the request that is served at present, or ``None`` without the middleware."""
    return _current.get()


@contextlib.contextmanager
def serving(request: HttpRequest) -> Iterator[FormRequest]:
    """Let the forms that are validated within the block know the request."""
    form_request = FormRequest(request)
    token = _current.set(form_request)
    if request.method == "POST" and request.content_type == "multipart/form-data":
        request.upload_handlers.insert(0, FormUploadHandler(request))
    try:
        yield form_request
    finally:
        _current.reset(token)


@sync_and_async_middleware
def UploadMiddleware(get_response: Any) -> Any:
    """Lets upload fields know whose request it is, and settles their uploads.

    When the view has returned, the uploads of valid forms are consumed. They wait on, and their
    receipts stay good, if the view raised an exception or answered with an error (400 or more), or
    if the page shows the form again.
    """
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> Any:
            response = None
            with serving(request) as form_request:
                try:
                    response = await get_response(request)
                finally:
                    await form_request.settle(response)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> Any:
        response = None
        with serving(request) as form_request:
            try:
                response = get_response(request)
            finally:
                if not form_request.is_settled:
                    bridge.run(form_request.settle, response)
        return response

    return middleware
