"""Settings for ``tests.sites.manifest``."""

import os

from site_channels.settings import *  # noqa: F403

DEBUG = False
ROOT_URLCONF = "tests.sites.manifest"
STATIC_ROOT = os.environ["STATIC_DIRECTORY"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
