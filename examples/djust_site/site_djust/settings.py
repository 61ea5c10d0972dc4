"""A djust project with uploads.

Do not use these settings in production. DEBUG is on, and the key is public.
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent

SECRET_KEY = "an example's key is no secret"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "djust",
    "djust_uploads",
    "site_djust",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "site_djust.urls"
ASGI_APPLICATION = "site_djust.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "djust.template_backend.DjustTemplateBackend",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# The examples keep nothing in a database and have no users.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# S008 warns of a client_name in a path, because djust's may contain "../". Ours never does.
DJUST_CONFIG = {"suppress_checks": ["S008"], "hot_reload": False}
LIVEVIEW_ALLOWED_MODULES = ["site_djust.views"]

# Sessions say whose an interrupted upload is, and the cache remembers how far it has come. Both are
# stored in files, so that uploads can go on after a restart of the server. With several processes
# or machines, use a database, Redis or Memcached.
STATE_DIRECTORY = Path(os.environ.get("STATE_DIRECTORY", BASE_DIR / "state"))
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH = STATE_DIRECTORY / "sessions"
SESSION_FILE_PATH.mkdir(parents=True, exist_ok=True)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": STATE_DIRECTORY / "cache",
    }
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR.parent / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("MEDIA_DIRECTORY", BASE_DIR / "media")

# This directory is on the disk of MEDIA_ROOT, so that a saved upload is renamed and not copied. It
# is not within MEDIA_ROOT, because anybody can download the files there.
FILE_UPLOAD_TEMP_DIR = os.environ.get("UPLOAD_DIRECTORY", BASE_DIR / "uploads")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(parents=True, exist_ok=True)

DJUST_UPLOADS = {
    "SINKS": {
        "default": {"BACKEND": "djust_uploads.sinks.TemporaryFileSink"},
        "memory": {"BACKEND": "djust_uploads.sinks.MemorySink"},
    },
    "SHA256": True,
    "RESUME_CACHE": "default",
}

# `make demo` starts an S3 server and sets this variable. The server accepts any credentials.
if endpoint := os.environ.get("DEMO_S3_ENDPOINT"):
    DJUST_UPLOADS["SINKS"]["s3"] = {
        "BACKEND": "djust_uploads.sinks.S3Sink",
        "OPTIONS": {
            "bucket": "gallery",
            "upload_to": "photos/%Y/%m/",
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": "demo",
            "aws_secret_access_key": "demo-secret",
            "addressing_style": "path",
        },
    }

if endpoint := os.environ.get("STORAGE_EMULATOR_HOST"):
    DJUST_UPLOADS["SINKS"]["gcs"] = {
        "BACKEND": "djust_uploads.sinks.GCSSink",
        "OPTIONS": {
            "bucket": "gallery",
            "upload_to": "photos/%Y/%m/",
            # Without credentials, URLs cannot be signed, so the pictures must be public.
            "predefined_acl": "publicRead",
        },
    }
