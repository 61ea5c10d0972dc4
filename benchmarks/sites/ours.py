"""A plain Channels site with djust_uploads.

The environment variable ``DJUST_UPLOADS`` has the setting as JSON. Each slot is named after its
chunk size.
"""

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

from benchmarks.meter import metered
from benchmarks.sites import CHUNK_SIZES, MAX_FILE_SIZE
from djust_uploads import UploadConsumer, UploadMixin


class Consumer(UploadMixin, UploadConsumer):
    def mount(self):
        for size in CHUNK_SIZES:
            self.allow_upload(str(size), chunk_size=size, max_file_size=MAX_FILE_SIZE)


application = metered(Consumer.as_asgi())
