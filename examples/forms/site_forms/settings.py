"""A plain Django project with uploads in its forms.

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
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "djust_uploads",
    "site_forms",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "djust_uploads.forms.UploadMiddleware",
]
ROOT_URLCONF = "site_forms.urls"
ASGI_APPLICATION = "site_forms.asgi.application"
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
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATE_DIRECTORY = Path(os.environ.get("STATE_DIRECTORY", BASE_DIR / "state"))
STATE_DIRECTORY.mkdir(parents=True, exist_ok=True)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": STATE_DIRECTORY / "db.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}

# The cache remembers which uploads wait for their forms. Several processes must share it.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": STATE_DIRECTORY / "cache",
    }
}
# Django 6 has tasks. A project installs a backend with workers.
TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("MEDIA_DIRECTORY", BASE_DIR / "media")

DJUST_UPLOADS = {
    "SINKS": {
        # Uploads go where the model's FileField has its files. There, nothing is copied.
        "default": {
            "BACKEND": "djust_uploads.sinks.StorageSink",
            "OPTIONS": {"storage": "default", "upload_to": "members/%Y/%m/"},
        },
        # Pictures wait in a temporary file until their form is saved.
        "temporary": {
            "BACKEND": "djust_uploads.sinks.TemporaryFileSink",
            "OPTIONS": {"directory": os.environ.get("UPLOAD_DIRECTORY", STATE_DIRECTORY)},
        },
    },
}
