"""A page of ours with a plain Channels consumer: the default slot, and a temporary file."""

from __future__ import annotations

import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["djust_uploads"],
    ROOT_URLCONF=__name__,
    STATIC_URL="/static/",
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

import django

django.setup()

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path, re_path

from benchmarks.sites import MAX_FILE_SIZE, pages
from djust_uploads import UploadConsumer, UploadMixin, event_handler
from djust_uploads.templatetags.djust_uploads import upload_assets


class Consumer(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("files", max_entries=25_000, max_file_size=MAX_FILE_SIZE)

    @event_handler
    async def ping(self, **params):
        """Answer an event of the page."""


BODY = '<input type="file" dj-upload="files"><div dj-upload-progress="files"></div>'


def show(request):
    return HttpResponse(pages.document(upload_assets("/ws/"), BODY, "ours"))


urlpatterns = [path("ours/", show), re_path("^(?:pages|static)/", pages.send_asset)]

application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": Consumer.as_asgi()})
