"""A site in production, behind nginx. What differs between machines comes from the environment; see
the file ``environment``."""

import os
from pathlib import Path

from redis.backoff import ExponentialBackoff
from redis.retry import Retry

BASE_DIR = Path(__file__).parent.parent
SITE_DIRECTORY = Path(os.environ["SITE_DIRECTORY"])

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")

INSTALLED_APPS = [
    "channels",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "djust_uploads",
    "site_deploy",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "site_deploy.urls"
ASGI_APPLICATION = "site_deploy.asgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True

# nginx terminates TLS, and sets this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# Sessions are in the database. If they were in Redis, a connection that opens while Redis restarts
# would have no session, and could not go on with its uploads.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SITE_DIRECTORY / "db.sqlite3",
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }
}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["REDIS_URL"],
        # A question to Redis is repeated for about 2 seconds, so nobody notices that it restarts.
        "OPTIONS": {"retry": Retry(ExponentialBackoff(cap=0.4, base=0.02), 7)},
    }
}

STATIC_URL = "/static/"
STATIC_ROOT = SITE_DIRECTORY / "static"
STATICFILES_DIRS = [BASE_DIR.parent / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = SITE_DIRECTORY / "media"

# Both workers share this directory, so that one goes on with what the other has begun. It is on the
# disk of MEDIA_ROOT, so that an upload that is saved is renamed and not copied.
FILE_UPLOAD_TEMP_DIR = SITE_DIRECTORY / "uploads"

DJUST_UPLOADS = {
    "SHA256": True,
    "RESUME_CACHE": "default",
    "QUOTA_CACHE": "default",
    # nginx is the only proxy. The client's address is the one that nginx tells.
    "TRUSTED_PROXIES": 1,
    "OBSERVERS": [
        "djust_uploads.observability.PrometheusMetrics",
        "djust_uploads.observability.ProcessReports",
    ],
}

CLAMD = str(SITE_DIRECTORY / "clamd.sock")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"djust_uploads": {"level": "INFO"}},
}
