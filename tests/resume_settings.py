"""Settings for ``tests.sites.resume``: what differs comes from the environment.

``SINKS``, ``CACHE`` and ``UPLOAD_SETTINGS`` are JSON, ``DATABASE`` is the path of an SQLite file.
"""

import json
import os

from tests.settings import *  # noqa: F403

LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CACHES = {"default": json.loads(os.environ.get("CACHE", "null")) or LOCAL}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", ":memory:"),
        # Two processes write.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
ROOT_URLCONF = os.environ.get("URLCONF")
DJUST_UPLOADS = {
    "SINKS": json.loads(os.environ.get("SINKS", "{}")),
    **json.loads(os.environ.get("UPLOAD_SETTINGS", "{}")),
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"timed": {"format": "%(asctime)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "timed"}},
    "loggers": {"djust_uploads": {"handlers": ["stderr"], "level": "INFO"}},
}
