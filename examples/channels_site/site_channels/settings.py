"""A plain Channels project with uploads.

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
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "djust_uploads",
    "site_channels",
]
MIDDLEWARE = [
    "site_channels.views.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "site_channels.urls"
ASGI_APPLICATION = "site_channels.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
USE_TZ = True

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

# Other servers from which the pages may load images, for the Content-Security-Policy.
IMAGE_SOURCES = []

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
    IMAGE_SOURCES.append(endpoint)

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
    IMAGE_SOURCES.append(endpoint)
