"""A plain Channels site whose consumer has a slot for each thing that the tests do."""

import hashlib
import os
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from djust_uploads import UploadConsumer, UploadMixin, Validator, event_handler
from djust_uploads.conf import sinks


class BrokenValidator(Validator):
    """An application's mistake."""

    def check_registration(self, entry):
        raise KeyError("a mistake on registration")


class BrokenContentValidator(Validator):
    def check_content(self, entry, head):
        raise KeyError("a mistake at the first bytes")


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
        self.allow_upload("broken", validators=[BrokenValidator()])
        self.allow_upload("broken-content", validators=[BrokenContentValidator()])
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
    def report_next(self, slot, **params):
        self.push_event("consumed", describe(next(self.consume_uploaded_entries(slot))))

    @event_handler
    async def areport_first(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry))
            break

    @event_handler
    def report_twice(self, slot, **params):
        for _ in range(2):
            for entry in self.consume_uploaded_entries(slot):
                self.push_event("consumed", describe(entry))

    @event_handler
    def postpone_then_raise(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            entry.postpone()
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
    def sink_calls(self, sink, **params):
        """What was done to a recording sink since the last time, on any connection."""
        calls, sinks[sink].calls = sinks[sink].calls, []
        self.push_event("sink_calls", {"calls": [call[0] for call in calls]})

    @event_handler
    async def ping(self, **params):
        pass

    @event_handler
    def sleep(self, seconds, **params):
        time.sleep(seconds)

    @event_handler
    async def push_what_json_cannot_carry(self, **params):
        self.push_event("broken", {"value": object()})

    @event_handler
    def shrink(self, **params):
        self.allow_upload("one", max_file_size=123)

    @property
    def a_property(self):
        raise AssertionError("only marked methods may be looked at")

    def not_a_handler(self):
        raise AssertionError("only marked methods may be called")


def describe(entry):
    digest = hashlib.sha256()
    path = getattr(entry.file, "temporary_file_path", lambda: None)()
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
        "path": path,
        "exists": path is not None and Path(path).exists(),
    }


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
    }
)
