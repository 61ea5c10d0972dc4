"""Django settings for the tests and for mypy; the test servers add to them by environment."""

import os

SECRET_KEY = "tests"
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "djust_uploads",
]
USE_TZ = True
STATIC_URL = "/static/"
