"""Settings for ``tests.sites.forms``."""

import json
import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DJUST_UPLOADS, INSTALLED_APPS

_BASE = Path(os.environ["UPLOAD_DIRECTORY"]).parent

INSTALLED_APPS = ["django.contrib.admin", "django.contrib.messages", *INSTALLED_APPS]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "djust_uploads.forms.UploadMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(_BASE / "db.sqlite3"),
        "OPTIONS": {"timeout": 20},
    }
}
DJUST_UPLOADS = {
    **DJUST_UPLOADS,
    "SINKS": {**DJUST_UPLOADS["SINKS"], **json.loads(os.environ.get("SINKS", "{}"))},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(_BASE / "cache"),
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
MEDIA_ROOT = str(_BASE / "media")
ROOT_URLCONF = "tests.sites.forms"
ASGI_APPLICATION = "tests.sites.forms.application"
DEBUG = True
