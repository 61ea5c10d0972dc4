"""A plain Channels site whose consumer has a slot for each thing that the tests do."""

import hashlib
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from djust_uploads import UploadConsumer, UploadMixin, event_handler


class FilesConsumer(UploadMixin, UploadConsumer):
    """Every slot on every sink; ``report`` consumes one and says what was in it."""

    def mount(self):
        for sink in ("default", "memory", "slow"):
            self.allow_upload(sink, max_entries=3, max_file_size=1_000_000_000, sink=sink)
            self.allow_upload(f"{sink}-png", accept=".png", max_entries=3, sink=sink)
            self.allow_upload(f"{sink}-jpg", accept=".jpg", max_entries=3, sink=sink)
            self.allow_upload(f"{sink}-txt", accept=".txt", max_entries=3, sink=sink)
            self.allow_upload(f"{sink}-image", accept="image/*", max_entries=3, sink=sink)
            self.allow_upload(f"{sink}-active", allow_active_content=True, sink=sink)
        self.allow_upload("one", max_entries=1)
        self.allow_upload("small", max_file_size=1000)
        self.allow_upload("big-chunks", max_file_size=1_000_000_000, chunk_size=256 * 1024)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry))

    @event_handler()
    async def areport(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry))

    @event_handler
    def report_all(self, slot, **params):
        for entry in list(self.consume_uploaded_entries(slot)):
            self.push_event("consumed", describe(entry))

    @event_handler
    def report_first(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry))
            break

    @event_handler
    def report_then_raise(self, slot, after, **params):
        for number, entry in enumerate(self.consume_uploaded_entries(slot)):
            self.push_event("consumed", describe(entry))
            if number == after:
                raise RuntimeError("the handler failed")

    @event_handler
    def postpone_first(self, slot, **params):
        for number, entry in enumerate(self.consume_uploaded_entries(slot)):
            if number == 0:
                entry.postpone()
            else:
                self.push_event("consumed", describe(entry))

    @event_handler
    def drop(self, slot, ref, **params):
        self.cancel_upload(slot, ref)

    @event_handler
    def state(self, slot, **params):
        self.push_event("state", {"entries": [e.template_state() for e in self.get_uploads(slot)]})

    @event_handler
    async def ping(self, **params):
        pass

    def not_a_handler(self):
        raise AssertionError("only marked methods may be called")


def describe(entry):
    digest = hashlib.sha256()
    for chunk in entry.file.chunks():
        digest.update(chunk)
    return {
        "ref": entry.ref,
        "client_name": entry.client_name,
        "safe_client_name": entry.safe_client_name,
        "content_type": entry.content_type,
        "size": entry.file.size,
        "sha256": digest.hexdigest(),
        "sha256_on_the_way": entry.sha256,
        "path": entry.file.temporary_file_path()
        if hasattr(entry.file, "temporary_file_path")
        else None,
    }


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
    }
)
