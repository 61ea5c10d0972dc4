"""A djust page of ours: the default slot, and a temporary file."""

from __future__ import annotations

import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=[
        "channels",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "djust",
        "djust_uploads",
    ],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "djust.template_backend.DjustTemplateBackend", "APP_DIRS": True}],
    ROOT_URLCONF=__name__,
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    LIVEVIEW_ALLOWED_MODULES=[__name__],
    STATIC_URL="/static/",
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.urls import path, re_path
from djust import LiveView
from djust.decorators import event_handler
from djust.routing import DjustMiddlewareStack

from benchmarks.sites import MAX_FILE_SIZE, pages
from djust_uploads import UploadMixin
from djust_uploads.liveview import LiveViewConsumer
from djust_uploads.templatetags.djust_uploads import upload_assets


class Files(UploadMixin, LiveView):
    login_required = False
    template = (
        '<!doctype html><html><head><meta charset="utf-8">{{ assets|safe }}</head><body>'
        '<div dj-root><input type="file" dj-upload="files"></div>'
        '<div dj-upload-progress="files"></div>'
        '<script src="/pages/measure.js"></script><script src="/pages/ours.js"></script>'
        "</body></html>"
    )

    def mount(self, request, **kwargs):
        self.assets = upload_assets()
        self.allow_upload("files", max_entries=25_000, max_file_size=MAX_FILE_SIZE)

    @event_handler()
    def ping(self, **kwargs):
        """Answer an event of the page."""


urlpatterns = [path("ours/", Files.as_view()), re_path("^pages/", pages.send_asset)]

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": DjustMiddlewareStack(
            URLRouter([path("ws/live/", LiveViewConsumer.as_asgi())])
        ),
    }
)
