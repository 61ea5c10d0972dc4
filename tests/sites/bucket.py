"""A plain Channels site whose uploads go to the sink ``SINK`` (JSON in the environment)."""

import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path
from django.utils.module_loading import import_string

from djust_uploads import UploadConsumer, UploadMixin, event_handler
from tests.sites.plain import describe

configured = json.loads(os.environ["SINK"])
options = configured["OPTIONS"]
sink = import_string(configured["BACKEND"])(**options)


def s3_storage():
    """Return the storage of django-storages on the same store."""
    from storages.backends.s3 import S3Storage

    return S3Storage(
        bucket_name="media",
        location="public",
        endpoint_url=options["endpoint_url"],
        region_name=options["region_name"],
        access_key=options["aws_access_key_id"],
        secret_key=options["aws_secret_access_key"],
    )


class FilesConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        big = {"max_file_size": 2_000_000_000, "sink": sink}
        self.allow_upload("files", max_entries=3, **big)
        self.allow_upload("big", chunk_size=256 * 1024, **big)
        self.allow_upload("png", accept=".png", sink=sink)

    @event_handler
    def report(self, **params):
        for entry in self.consume_uploaded_entries("files"):
            described = describe(entry) | {"key": entry.file.key, "url": entry.file.url}
            self.push_event("consumed", described)

    @event_handler
    async def report_async(self, **params):
        async for entry in self.consume_uploaded_entries("files"):
            data = b"".join([chunk async for chunk in entry.file.achunks()])
            self.push_event("consumed", {"size": len(data), "url": entry.file.url})

    @event_handler
    async def copy(self, **params):
        async for entry in self.consume_uploaded_entries("files"):
            name = await entry.asave("copied.bin", s3_storage())
            self.push_event("copied", {"name": name, "key": entry.file.key})


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
    }
)
