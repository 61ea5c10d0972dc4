"""A plain Channels site whose uploads go to Google Cloud Storage; ``GCS_OPTIONS`` has the sink's
options as JSON, and ``STORAGE_EMULATOR_HOST`` the emulator."""

import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from djust_uploads import GCSSink, UploadConsumer, UploadMixin, event_handler
from tests.sites.plain import describe

sink = GCSSink(**json.loads(os.environ["GCS_OPTIONS"]))


class FilesConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("gcs", max_entries=3, max_file_size=2_000_000_000, sink=sink)
        self.allow_upload("png", accept=".png", sink=sink)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            described = describe(entry) | {"key": entry.file.key, "url": entry.file.url}
            self.push_event("consumed", described)

    @event_handler
    async def report_read(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            data = b"".join([chunk async for chunk in entry.file.achunks()])
            self.push_event("consumed", {"size": len(data), "url": entry.file.url})


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
    }
)
