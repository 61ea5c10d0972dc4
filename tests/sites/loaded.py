"""A plain Channels site whose sinks are slow, for tests of memory and fairness."""

import asyncio
import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django
from django.conf import settings

settings.DJUST_UPLOADS = {
    "MAX_BUFFERED_BYTES": int(os.environ.get("MAX_BUFFERED_BYTES", 256 * 1024 * 1024))
}
django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from djust_uploads import MemoryFile, Sink, SinkWriter, UploadConsumer, UploadMixin, event_handler
from djust_uploads.transfer import client_side

client_side.OVERSTEPPING_TIMEOUT = 2.0


class ThrottledSink(Sink):
    """Takes ``rate`` bytes a second of each upload, and forgets them."""

    def __init__(self, rate):
        self.rate = rate

    async def open(self, upload):
        return ThrottledWriter(self.rate)


class ThrottledWriter(SinkWriter):
    def __init__(self, rate):
        self._rate = rate
        self._free_at = 0.0

    async def write(self, chunk):
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + len(chunk) / self._rate
        await asyncio.sleep(self._free_at - now)
        self.offset += len(chunk)

    async def finish(self):
        return MemoryFile("forgotten", b"")

    async def abort(self):
        pass


SINKS = {
    "fast": "default",
    "megabyte": ThrottledSink(1_000_000),
    # A chunk takes longer than a client may overstep.
    "stuck": ThrottledSink(20_000),
}


class LoadedConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        for name, sink in SINKS.items():
            self.allow_upload(name, sink=sink, max_entries=100, max_file_size=10**9)

    @event_handler
    async def ping(self, **params):
        """Answers with the seconds that the event loop's thread has run so far."""
        self.push_event("ran", {"seconds": time.thread_time()})


application = ProtocolTypeRouter({"websocket": URLRouter([path("ws/", LoadedConsumer.as_asgi())])})
