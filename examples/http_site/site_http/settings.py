"""A Django project that takes uploads over HTTP. Not for production: DEBUG and the key are for a
laptop."""

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
    "site_http",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "site_http.urls"
ASGI_APPLICATION = "site_http.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
USE_TZ = True

# Whose an upload is (its session's), and where it stands: in files, so that it can go on after a
# restart. With several processes or machines, use a database, Redis or Memcached.
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

# What tests/npm.sh has installed: Uppy, as its authors publish it.
NODE_MODULES = Path(os.environ.get("NODE_MODULES", BASE_DIR / "node_modules"))

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR.parent / "static", ("uppy", NODE_MODULES / "uppy" / "dist")]
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("MEDIA_DIRECTORY", BASE_DIR / "media")

# On MEDIA_ROOT's disk, so that saving an upload is a rename and not a copy; but not in it, because
# what is there, anybody can download.
FILE_UPLOAD_TEMP_DIR = os.environ.get("UPLOAD_DIRECTORY", BASE_DIR / "uploads")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(parents=True, exist_ok=True)

DJUST_UPLOADS = {"SHA256": True, "RESUME_CACHE": "default"}

# `make demo` starts an S3 server and says where it is. It takes any credentials.
if endpoint := os.environ.get("DEMO_S3_ENDPOINT"):
    DJUST_UPLOADS["SINKS"] = {
        "default": {
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
    }
