"""A plain Channels site whose uploads go to S3; ``S3_OPTIONS`` has the sink's options as JSON."""

import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path
from storages.backends.s3 import S3Storage

from djust_uploads import S3Sink, UploadConsumer, UploadMixin, event_handler
from tests.sites.plain import describe

options = json.loads(os.environ["S3_OPTIONS"])
sink = S3Sink(**options)
storage = S3Storage(
    bucket_name="media",
    location="public",
    endpoint_url=options["endpoint_url"],
    region_name=options["region_name"],
    access_key=options["aws_access_key_id"],
    secret_key=options["aws_secret_access_key"],
)


class FilesConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("s3", max_entries=3, max_file_size=2_000_000_000, sink=sink)
        self.allow_upload("png", accept=".png", sink=sink)
        big = {"max_file_size": 2_000_000_000, "chunk_size": 256 * 1024}
        self.allow_upload("big", sink=sink, **big)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            described = describe(entry) | {"key": entry.file.key, "url": entry.file.url}
            self.push_event("consumed", described)

    @event_handler
    async def report_url(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            data = b"".join([chunk async for chunk in entry.file.achunks()])
            self.push_event("consumed", {"size": len(data), "url": entry.file.url})

    @event_handler
    async def copy(self, **params):
        async for entry in self.consume_uploaded_entries("s3"):
            name = await entry.asave("copied.bin", storage)
            self.push_event("copied", {"name": name, "key": entry.file.key})

    @event_handler
    async def nothing(self, **params):
        pass


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
    }
)
