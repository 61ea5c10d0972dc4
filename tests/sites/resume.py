"""A plain Channels site whose uploads can be resumed; pages bring a session. Each sink of the
settings has a slot for each chunk size: ``"default-65536"``, …"""

import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.resume_settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.core.asgi import get_asgi_application
from django.urls import path

from djust_uploads import UploadConsumer, UploadMixin, event_handler
from djust_uploads.conf import sinks
from tests.sites.plain import describe

CHUNK_SIZES = (1000, 64 * 1024, 256 * 1024)


#: A line for each completion, of all processes.
COMPLETIONS = Path(os.environ["UPLOAD_DIRECTORY"]).parent / "completions"


def note_completion(entry):
    with COMPLETIONS.open("a") as file:
        file.write(f"{entry.ref}\n")


class FilesConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        options = {
            "max_entries": 20,
            "max_file_size": 1_000_000_000,
            "resumable": True,
            "on_complete": note_completion,
        }
        for alias in sinks:
            for chunk_size in CHUNK_SIZES:
                name = f"{alias}-{chunk_size}"
                self.allow_upload(name, chunk_size=chunk_size, sink=alias, **options)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", describe(entry) | entry.file.metadata)

    @event_handler
    async def ping(self, **params):
        pass


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": SessionMiddlewareStack(
            URLRouter([path("ws/", FilesConsumer.as_asgi())]),
        ),
    }
)
