"""Settings for ``tests.sites.accounts``: users and sessions in a database of several processes."""

import json
import os
from pathlib import Path

from tests.resume_settings import *  # noqa: F403

_BASE = Path(os.environ.get("UPLOAD_DIRECTORY", "/nowhere")).parent

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "djust_uploads.forms.UploadMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(_BASE / "accounts.sqlite3"),
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.sites.accounts"
DJUST_UPLOADS = {
    "SESSION_INTERVAL": 0.2,
    "FORM_UPLOADS_URL": "/form-uploads/",
    **json.loads(os.environ.get("UPLOAD_SETTINGS", "{}")),
}
