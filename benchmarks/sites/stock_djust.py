"""djust's own uploads. Without higher limits for messages, such uploads would fail."""

from __future__ import annotations

import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=[
        "channels",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "djust",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "djust.template_backend.DjustTemplateBackend", "APP_DIRS": True}],
    ROOT_URLCONF=__name__,
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    LIVEVIEW_ALLOWED_MODULES=[__name__],
    DJUST_CONFIG={
        "max_message_size": 0,
        "rate_limit": {
            "upload_rate": 10**9,
            "upload_burst": 10**9,
            "max_connections_per_ip": 10**6,
        },
    },
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

import django

django.setup()

from djust import LiveView
from djust.routing import DjustMiddlewareStack
from djust.uploads import UploadMixin
from djust.websocket import LiveViewConsumer

from benchmarks.meter import metered
from benchmarks.sites import CHUNK_SIZES, MAX_FILE_SIZE


class Files(UploadMixin, LiveView):
    login_required = False
    template = "<div dj-root></div>"

    def mount(self, request, **kwargs):
        for size in CHUNK_SIZES:
            self.allow_upload(str(size), chunk_size=size, max_file_size=MAX_FILE_SIZE)


urlpatterns = []
application = metered(DjustMiddlewareStack(LiveViewConsumer.as_asgi()))
