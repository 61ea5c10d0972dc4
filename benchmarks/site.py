"""A plain Channels site with one slot for each configured sink, and a watch on its event loop.

``SINKS`` in the environment is ``DJUST_UPLOADS["SINKS"]`` as JSON.
"""

import asyncio
import json
import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["djust_uploads"],
    DJUST_UPLOADS={"SINKS": json.loads(os.environ["SINKS"])},
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from djust_uploads import UploadConsumer, UploadMixin, event_handler
from djust_uploads.conf import sinks

#: Seconds between two looks at the clock.
INTERVAL = 0.001


class LoopWatch:
    """How late the loop is: the time that a sleep of ``INTERVAL`` took over ``INTERVAL``."""

    def __init__(self):
        self._lags = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self):
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(INTERVAL)
            self._lags.append(clock() - before - INTERVAL)

    def take(self):
        """Milliseconds since the last time, by percentile."""
        lags, self._lags = sorted(self._lags), []
        at = {name: lags[int(len(lags) * share)] for name, share in SHARES.items()}
        return {name: round(1000 * lag, 2) for name, lag in at.items()} | {"samples": len(lags)}


SHARES = {"p50": 0.5, "p99": 0.99, "max": 0.999999}
watch = None


class BenchmarkConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        for alias in sinks:
            options = {"chunk_size": 256 * 1024, "max_file_size": 20_000_000_000}
            self.allow_upload(alias, max_entries=1000, sink=alias, **options)

    @event_handler
    async def lag(self, **params):
        global watch
        watch = watch or LoopWatch()
        await asyncio.sleep(0.02)
        self.push_event("lag", watch.take())

    @event_handler
    async def discard(self, slot, **params):
        for entry in self.get_uploads(slot):
            self.cancel_upload(slot, entry.ref)


application = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/", BenchmarkConsumer.as_asgi())])}
)
