"""A site whose uploads come over HTTP, at ``/uploads/``, and over a socket, at ``/ws/``.

Each sink of the settings has a slot of its alias. Requests without a session cookie are anonymous.
Four views take receipts, and say what was in the file. Prometheus finds the metrics at
``/metrics``.
"""

import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.resume_settings")

import django

django.setup()

from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path, re_path

from djust_uploads import (
    UploadConsumer,
    UploadEndpoint,
    UploadMixin,
    ValidationFailed,
    event_handler,
    receipts,
)
from djust_uploads.conf import sinks
from djust_uploads.exceptions import Forbidden, Unauthenticated, UploadError
from djust_uploads.observability import metrics
from tests.sites.plain import describe

#: A line for each call of ``uploaded()``, of all processes.
UPLOADED = Path(os.environ["UPLOAD_DIRECTORY"]).parent / "uploaded"


class Partner:
    """The user of a token."""

    is_authenticated = True

    def __init__(self, name):
        self.pk = name


def allow_uploads(self):
    for alias in sinks:
        self.allow_upload(
            alias, max_entries=20, max_file_size=2_000_000_000, sink=alias, resumable=True
        )
    self.allow_upload("png", accept=".png", max_file_size=1_000_000, resumable=True)
    self.allow_upload("small", max_file_size=1000, resumable=True)
    self.allow_upload("consumed", resumable=True, max_file_size=1_000_000)
    self.allow_upload("refused", resumable=True, max_file_size=1_000_000)
    self.allow_upload("failing", resumable=True, max_file_size=1_000_000)


class FilesEndpoint(UploadMixin, UploadEndpoint):
    def mount(self):
        if b"x-banned" in dict(self.scope["headers"]):
            raise Forbidden
        allow_uploads(self)

    async def authenticate(self, authorization):
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or token.startswith("expired"):
            raise Unauthenticated
        return Partner(token.partition(":")[0])

    async def uploaded(self, entry):
        with UPLOADED.open("a") as file:
            file.write(f"{entry.ref}\n")
        if entry.upload_name == "refused":
            raise ValidationFailed(message="Not this one.")
        if entry.upload_name == "failing" and UPLOADED.read_text().count(entry.ref) == 1:
            raise RuntimeError("a mistake")
        if entry.upload_name == "consumed":
            [consumed] = self.consume_uploaded_entries("consumed")
            return describe(consumed)
        if entry.client_metadata.get("describe"):
            return describe(entry)
        return None


class FilesConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        allow_uploads(self)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry) | entry.file.metadata)

    @event_handler
    async def ping(self, **params):
        pass


def described(receipt_or_entry):
    return {key: getattr(receipt_or_entry, key) for key in ("ref", "upload_name", "client_name")}


async def consume(request):
    """Consume a receipt in a view that is ``async``."""
    return await answered(
        receipts.consume(request.GET["receipt"], request, slot=request.GET["slot"])
    )


async def peek(request):
    try:
        receipt = await receipts.peek(request.GET["receipt"], request)
    except UploadError as error:
        return JsonResponse({"code": error.code, "error": error.message}, status=400)
    return JsonResponse(described(receipt))


def consume_sync(request):
    """Consume a receipt in a view that is not."""
    try:
        entry = receipts.consume_sync(request.GET["receipt"], request)
    except UploadError as error:
        return JsonResponse({"code": error.code, "error": error.message}, status=400)
    return JsonResponse(describe(entry))


async def refuse(request):
    """Look at the file, and leave it where it is."""
    async with receipts.claimed(request.GET["receipt"], request) as claim:
        described = await sync_to_async(describe)(claim.entry)
        again = receipts.reissue(request.GET["receipt"], request)
        return JsonResponse({**described, "receipt": again})


async def answered(consuming):
    try:
        entry = await consuming
    except UploadError as error:
        return JsonResponse({"code": error.code, "error": error.message}, status=400)
    return JsonResponse(await sync_to_async(describe)(entry))


urlpatterns = [
    path("consume/", consume),
    path("consume-sync/", consume_sync),
    path("peek/", peek),
    path("refuse/", refuse),
    path("metrics", metrics),
]

application = ProtocolTypeRouter(
    {
        "http": SessionMiddlewareStack(
            URLRouter(
                [
                    path("uploads/", FilesEndpoint.as_asgi()),
                    re_path("", get_asgi_application()),
                ]
            )
        ),
        "websocket": SessionMiddlewareStack(URLRouter([path("ws/", FilesConsumer.as_asgi())])),
    }
)
