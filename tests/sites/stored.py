"""A plain Channels site that keeps uploads in Django storages; ``report`` consumes a slot."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.files.storage import storages
from django.urls import path

from djust_uploads import StorageSink, UploadConsumer, UploadMixin, event_handler
from tests.sites.plain import describe

media = StorageSink("default", "photos/")
spooled = StorageSink("default", lambda upload: f"named/{upload.client_name}", spool=True)


class MediaConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("media", max_entries=3, max_file_size=100_000_000, sink=media)
        self.allow_upload("spooled", max_entries=3, max_file_size=100_000_000, sink=spooled)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            details = {**describe(entry), "key": entry.file.metadata["key"]}
            self.push_event("consumed", {**details, "url": entry.file.url})

    @event_handler
    async def delete(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            await entry.file.adelete()

    @event_handler
    def listing(self, **params):
        folders, files = storages["default"].listdir("")
        self.push_event("listing", {"names": folders + files})


application = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/", MediaConsumer.as_asgi())])},
)
