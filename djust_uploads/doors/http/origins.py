"""Which pages may use the endpoint: hosts, cross-site requests with cookies, and CORS.

Nothing is allowed to pages of other origins unless ``DJUST_UPLOADS["CORS_ORIGINS"]`` names them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from ...exceptions import Forbidden
from ...settings import upload_settings
from .problems import BadRequest
from .request import Request

#: Headers of an answer that pages of allowed origins may read.
EXPOSED = (
    "Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, "
    "Upload-Offset, Upload-Length, Upload-Metadata, Upload-Concat, Upload-Expires, "
    "Upload-Complete, Upload-Limit, Upload-Draft-Interop-Version, Upload-Receipt, Repr-Digest, "
    "Accept-Patch"
)

#: Headers of a request that pages of allowed origins may send.
_ALLOWED = (
    "Authorization, Content-Type, Content-Disposition, Content-Digest, Repr-Digest, Tus-Resumable, "
    "Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Concat, "
    "Upload-Checksum, Upload-Complete, Upload-Draft-Interop-Version, X-CSRFToken, "
    "X-HTTP-Method-Override, X-Request-ID, X-Requested-With"
)

#: Seconds for which a browser may remember what it was allowed.
_MAX_AGE = "86400"


class Origins:
    """Judges where one request comes from."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        # Django's own request knows about proxies, X-Forwarded-Host and ALLOWED_HOSTS. It would
        # also parse the query and the content type, and raise errors that no client may cause.
        headers = [header for header in scope["headers"] if header[0] != b"content-type"]
        bare = {**scope, "query_string": b"", "headers": headers}
        self._request = ASGIRequest(bare, io.BytesIO())
        self._origin: str = self._request.META.get("HTTP_ORIGIN", "")

    def check_host(self) -> None:
        """Raises :class:`BadRequest` for a host that is not in ``ALLOWED_HOSTS``."""
        try:
            self._request.get_host()
        except DisallowedHost as exc:
            raise BadRequest(str(exc)) from None

    def absolute(self, path: str) -> str:
        """Return the URL of a path on this host."""
        scheme = self._request.scheme
        return f"{scheme}://{self._request.get_host()}{path}"

    # Cross-site request forgery

    def check_page(self, request: Request) -> None:
        """Raises :class:`Forbidden` if a page of another site may have made the request.

        A browser sends our cookies with it, so the page would act as our user. The request must
        come from this host or from ``CSRF_TRUSTED_ORIGINS``, by its ``Origin`` or its ``Referer``,
        or have the CSRF token in its header, as Django's middleware reads it. A request without
        cookies acts as nobody, so anybody may make it.
        """
        if "cookie" not in request:
            return
        source = self._origin or request.header("referer")
        if source:
            if not self._is_trusted(source):
                raise Forbidden(f"a page of {source!r:.200} has made it")
        elif not self._has_token():
            raise Forbidden("it has cookies, and neither Origin, Referer nor a CSRF token")

    def _is_trusted(self, source: str) -> bool:
        try:
            parts = urlsplit(source)
            origin = f"{parts.scheme}://{parts.netloc}"
            own = self.absolute("")
        except (ValueError, DisallowedHost):
            return False
        return origin == own or any(map(_Pattern(origin).matches, settings.CSRF_TRUSTED_ORIGINS))

    def _has_token(self) -> bool:
        """Return whether Django's middleware would let the request through."""
        request = HttpRequest()
        # For POST, the middleware would look for the token in the body.
        request.method = "PUT"
        request.META, request.COOKIES = self._request.META, self._request.COOKIES
        middleware = CsrfViewMiddleware(lambda request: HttpResponse())
        middleware.process_request(request)
        return middleware.process_view(request, lambda request: HttpResponse(), (), {}) is None

    # Cross-origin resource sharing: https://fetch.spec.whatwg.org/#http-cors-protocol

    def headers(self) -> dict[str, str]:
        """Return the headers that let the page read the answer."""
        origins = upload_settings().cors_origins
        if not origins:
            return {}
        headers = {"Vary": "Origin"}
        if self._origin in origins:
            headers["Access-Control-Allow-Origin"] = self._origin
            headers["Access-Control-Allow-Credentials"] = "true"
        elif self._origin and "*" in origins:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            return headers
        return {**headers, "Access-Control-Expose-Headers": EXPOSED}

    def preflight(self, methods: str) -> dict[str, str]:
        """Return the headers that let the page make a request, beside those of :meth:`headers`."""
        if "Access-Control-Allow-Origin" not in self.headers():
            return {}
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": _ALLOWED,
            "Access-Control-Max-Age": _MAX_AGE,
        }


class _Pattern:
    """Compares an origin with the values of ``CSRF_TRUSTED_ORIGINS``, such as
    ``https://*.example.com``."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def matches(self, trusted: str) -> bool:
        scheme, wildcard, domain = trusted.partition("://*.")
        if not wildcard:
            return self._origin == trusted
        own_scheme, _, host = self._origin.partition("://")
        return scheme == own_scheme and host.endswith(f".{domain}")
