"""Django settings for the tests, for mypy, and for the sites that the tests start as servers."""

import os
import tempfile

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "djust_uploads",
    "tests",
]
USE_TZ = True
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
FILE_UPLOAD_TEMP_DIR = os.environ.get("UPLOAD_DIRECTORY", tempfile.gettempdir())
MEDIA_ROOT = os.environ.get("MEDIA_DIRECTORY", tempfile.gettempdir())
DJUST_UPLOADS = {
    "SINKS": {
        "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
        "memory": {"BACKEND": "djust_uploads.sinks.MemorySink"},
        "slow": {"BACKEND": "djust_uploads.testing.RecordingSink", "OPTIONS": {"delay": 0.5}},
    },
    "SHA256": True,
    "IDLE_TIMEOUT": float(os.environ.get("IDLE_TIMEOUT", "300")),
}
MEDIA_URL = "/media/"
