"""A site to be fuzzed: uploads over a socket at ``/ws/`` and over HTTP at ``/uploads/``.

What is interrupted is forgotten soon. ``/state`` tells what the process holds.
"""

import asyncio
import gc
import json
import os
import threading
from collections import Counter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.resume_settings")

import django

django.setup()

import psutil
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import path, re_path

from djust_uploads import UploadConsumer, UploadEndpoint, UploadMixin, event_handler
from djust_uploads.flow.budget import budget
from djust_uploads.resuming import leases, parking
from djust_uploads.uploads import takings

parking.PARKED_SECONDS = 1.0
# The machine may be busy, and this cache never fails.
leases.CACHE_TIMEOUT = takings.CACHE_TIMEOUT = 60.0


def allow_uploads(self):
    self.allow_upload("files", max_entries=5, max_file_size=100_000, resumable=True)
    self.allow_upload("memory", max_entries=5, max_file_size=100_000, sink="memory")
    self.allow_upload("texts", accept=".txt", max_file_size=1000, chunk_size=1000)


class FuzzedConsumer(UploadMixin, UploadConsumer):
    async def mount(self):
        allow_uploads(self)

    @event_handler
    async def ping(self, **params):
        pass

    @event_handler
    async def areport(self, **params):
        async for entry in self.consume_uploaded_entries("files"):
            self.push_event("consumed", {"ref": entry.ref, "sha256": entry.sha256})

    @event_handler
    def report(self, **params):
        for entry in self.consume_uploaded_entries("memory"):
            self.push_event("consumed", {"ref": entry.ref, "sha256": entry.sha256})


class FuzzedEndpoint(UploadMixin, UploadEndpoint):
    async def mount(self):
        allow_uploads(self)


async def state(scope, receive, send):
    gc.collect()
    process = psutil.Process()
    body = {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "memory": process.memory_info().rss,
        "objects": len(gc.get_objects()),
        "ours": Counter(type(each).__qualname__ for each in gc.get_objects() if is_ours(each)),
        "held": [budget.granted, budget.buffered, budget.sending, dict(takings.places._held)],
    }
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def nothing(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body"})


def is_ours(thing):
    """Whether it is an object of a class of this package, or of this module."""
    module = getattr(type(thing), "__module__", "")
    return isinstance(module, str) and module.startswith(("djust_uploads", __name__))


application = ProtocolTypeRouter(
    {
        "http": SessionMiddlewareStack(
            URLRouter(
                [
                    path("uploads/", FuzzedEndpoint.as_asgi()),
                    path("state", state),
                    re_path("", nothing),
                ]
            )
        ),
        "websocket": SessionMiddlewareStack(URLRouter([path("ws/", FuzzedConsumer.as_asgi())])),
    }
)
