"""A site of ours whose uploads come over HTTP. ``DJUST_UPLOADS`` in the environment is the setting
as JSON."""

from __future__ import annotations

import json
import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["djust_uploads"],
    DJUST_UPLOADS=json.loads(os.environ["DJUST_UPLOADS"]),
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from benchmarks.sites import MAX_FILE_SIZE
from djust_uploads import UploadEndpoint, UploadMixin


class Endpoint(UploadMixin, UploadEndpoint):
    def mount(self):
        self.allow_upload("files", max_file_size=MAX_FILE_SIZE)


application = ProtocolTypeRouter({"http": URLRouter([path("uploads/", Endpoint.as_asgi())])})
