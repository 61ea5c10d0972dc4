from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings

from djust_uploads.forms import UploadField
from tests.models import Attachment, Document, Picture

MODELS = [Document, Picture, Attachment]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "djust_uploads.forms.UploadMiddleware",
]


@pytest.fixture(scope="module")
def tables():
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)


@pytest.fixture(autouse=True)
def undeclared():
    """Other tests of this process ask the system checks, and know nothing of our forms."""
    yield
    UploadField.declared = False


@pytest.fixture
def site(tables, tmp_path):
    """The site in this process. ``site.media`` and ``site.uploads`` are its directories."""
    media, uploads = tmp_path / "media", tmp_path / "uploads"
    uploads.mkdir()
    cache.clear()
    with override_settings(
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        ROOT_URLCONF="tests.forms.site",
        MIDDLEWARE=MIDDLEWARE,
        MEDIA_ROOT=str(media),
        FILE_UPLOAD_TEMP_DIR=str(uploads),
    ):
        client = Client()
        client.media, client.uploads = media, uploads
        yield client
    for model in reversed(MODELS):
        model.objects.all().delete()
