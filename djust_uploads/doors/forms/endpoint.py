"""``FormUploads``: takes the files of all forms of a project over HTTP."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from ...slots.entry import UploadEntry
from ...uploads.authorization import answer
from ..http.addresses import Address
from ..http.concatenation import PARTIAL
from ..http.endpoint import UploadEndpoint
from ..mixin import UploadMixin
from .names import field_of


class FormUploads(UploadMixin, UploadEndpoint):
    """Takes the files of all upload fields of a project, ahead of their forms.

    Route it with Channels' ``URLRouter``, before Django's own application::

        application = ProtocolTypeRouter({
            "http": URLRouter([
                path("uploads/", FormUploads.as_asgi()),
                re_path("", get_asgi_application()),
            ]),
        })

    The path is that of ``DJUST_UPLOADS["FORM_UPLOADS_URL"]``. The user and the session are looked
    up with Channels' ``AuthMiddlewareStack``, or ``SessionMiddlewareStack`` in a project without
    ``django.contrib.auth``.

    Only who has been shown a form knows the names of its slots. Fields may ask for permissions, and
    have an ``authorize_upload``. To ask for more, override :meth:`authorize`.
    """

    def authorize(self, field: Any) -> Any:
        """Raise :class:`~djust_uploads.exceptions.Forbidden` for a client that may not upload.

        ``field`` is the :class:`~djust_uploads.forms.UploadField` for which it wants to.
        ``self.scope`` has the user and the session.
        """

    async def authorize_upload(self, entry: UploadEntry) -> Any:
        """Ask the field's ``authorize_upload``. A form that is sent with its files asks it too."""
        field = field_of(entry.upload_name.removesuffix(PARTIAL))
        if field.authorize_upload is None:
            return True
        return await answer(field.authorize_upload, entry, self.scope.get("user"))

    def mount(self) -> None:
        slot = Address.of(self.scope).slot
        field = field_of(slot)
        self.authorize(field)
        options = field.slot
        self.allow_upload(
            slot,
            accept=options.accept,
            max_entries=options.max_entries,
            max_file_size=options.max_file_size,
            sink=options.sink,
            resumable=True,
            allow_active_content=options.allow_active_content,
            validators=options.validators,
            permission_required=options.permissions or None,
            quotas=options.quotas,
        )

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """Return the ASGI application, with the middleware that looks up the user."""
        inner = super().as_asgi(**initkwargs)
        application = _with_user(inner)
        if application is not inner:
            # Channels' URLRouter takes the route as the beginning of a path.
            application._path_routing = True
        return application


def _with_user(inner: Any) -> Any:
    if apps.is_installed("django.contrib.auth"):
        from channels.auth import AuthMiddlewareStack

        return AuthMiddlewareStack(inner)
    if apps.is_installed("django.contrib.sessions"):
        from channels.sessions import SessionMiddlewareStack

        return SessionMiddlewareStack(inner)
    return inner
