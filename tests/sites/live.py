"""A djust site: our consumer, views in both base orders, and what djust does to a view's state."""

import hashlib
import os
import secrets
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.live_settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import PermissionDenied
from django.urls import path
from djust import LiveView
from djust.decorators import event_handler
from djust.routing import DjustMiddlewareStack
from djust.uploads import UploadMixin as StockUploadMixin
from djust.uploads import UploadWriter

from djust_uploads import UploadMixin
from djust_uploads.liveview import LiveViewConsumer


class Reports:
    """What the views of this site have in common; ``reported`` ends up in the page."""

    login_required = False

    @event_handler()
    def report(self, **kwargs):
        for entry in self.consume_uploaded_entries("files"):
            self.reported = [*self.reported, describe(entry)]

    @event_handler()
    async def areport(self, **kwargs):
        async for entry in self.consume_uploaded_entries("files"):
            self.reported = [*self.reported, describe(entry)]

    @event_handler()
    def report_then_raise(self, **kwargs):
        for entry in self.consume_uploaded_entries("files"):
            self.reported = [*self.reported, describe(entry)]
            raise RuntimeError("the handler failed")

    @event_handler()
    def shrink(self, **kwargs):
        self.allow_upload("files", max_file_size=123)

    @event_handler()
    def drop(self, ref: str = "", **kwargs):
        self.cancel_upload("files", ref)


def describe(entry):
    digest = hashlib.sha256()
    for chunk in entry.file.chunks():
        digest.update(chunk)
    return f"{entry.client_name} {entry.client_size} {digest.hexdigest()}"


class MixinFirst(Reports, UploadMixin, LiveView):
    template_name = "stock.html"

    def mount(self, request, **kwargs):
        self.reported = []
        self.allow_upload("files", max_entries=3, max_file_size=1_000_000_000)


class MixinLast(Reports, LiveView, UploadMixin):
    template_name = "ours.html"

    def mount(self, request, **kwargs):
        self.reported = []
        self.allow_upload("files", max_entries=3, max_file_size=1_000_000_000)


class Restored(MixinLast):
    """djust brings its state back without calling ``mount()`` again."""

    enable_state_snapshot = True

    def mount(self, request, **kwargs):
        # Another one after a restore would mean that this ran again.
        self.reported = [f"mounted-{secrets.token_hex(8)}"]
        self.allow_upload("files", accept=".txt", max_entries=2, sink="memory")


class Guarded(MixinFirst):
    """Only its ``post()`` refuses; djust asks it before every event."""

    def post(self, request, *args, **kwargs):
        raise PermissionDenied


class Judging(MixinFirst):
    """Asks about each file, and knows whose it is."""

    def authorize_upload(self, entry):
        return bool(self.request.session.session_key) and entry.client_name != "refused"


class Writer(UploadWriter):
    """djust's kind of writer, into a file whose name tells what became of it."""

    directory = Path(os.environ.get("UPLOAD_DIRECTORY", "."))

    def open(self):
        self.path = self.directory / "writer.part"
        self.file = self.path.open("wb")

    def write_chunk(self, chunk, chunk_index=0):
        if b"write_chunk must fail" in chunk:
            raise OSError("no")
        self.file.write(chunk)

    def close(self):
        self.file.close()
        return {"sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()}

    def abort(self, error):
        self.file.close()
        self.path.unlink()


class Written(LiveView, UploadMixin):
    login_required = False
    template = "<div dj-root>{{ result }}</div>"

    def mount(self, request, **kwargs):
        self.result = ""
        self.allow_upload("files", max_file_size=1_000_000_000, writer=Writer)

    @event_handler()
    def report(self, **kwargs):
        for entry in self.consume_uploaded_entries("files"):
            self.result = entry.writer_result["sha256"]


class Stock(StockUploadMixin, LiveView):
    """A view that still has djust's own uploads: the consumer leaves it to djust."""

    login_required = False
    template = "<div dj-root>{{ result }}</div>"

    def mount(self, request, **kwargs):
        self.result = ""
        self.allow_upload("files", chunk_size=1000)

    @event_handler()
    def report(self, **kwargs):
        for entry in self.consume_uploaded_entries("files"):
            self.result = entry.data.decode()


urlpatterns = [
    path("stock/", MixinFirst.as_view()),
    path("ours/", MixinLast.as_view()),
    path("restored/", Restored.as_view()),
]

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": DjustMiddlewareStack(
            URLRouter([path("ws/live/", LiveViewConsumer.as_asgi())])
        ),
    }
)
