"""The name of an object in a storage of django-storages. Only a storage that has it has a name."""

from __future__ import annotations

import pytest
from google.auth.credentials import AnonymousCredentials
from storages.backends.gcloud import GoogleCloudStorage

from djust_uploads.sinks.gcs.naming import is_google_storage, name_of

GOOGLE = "https://storage.googleapis.com"


class ShoutingStorage(GoogleCloudStorage):
    def _open(self, name, mode="rb"):
        return super()._open(name.upper(), mode)


@pytest.mark.parametrize(
    ("storage_class", "options", "base_url", "name"),
    [
        (GoogleCloudStorage, {}, GOOGLE, "films/a b.mp4"),
        (GoogleCloudStorage, {"location": "films"}, GOOGLE, "a b.mp4"),
        (GoogleCloudStorage, {"location": "film"}, GOOGLE, None),
        (GoogleCloudStorage, {"location": "films/a"}, GOOGLE, None),
        (GoogleCloudStorage, {"bucket_name": "other"}, GOOGLE, None),
        (GoogleCloudStorage, {}, "http://127.0.0.1:9023", None),
        (ShoutingStorage, {}, GOOGLE, None),
    ],
)
def test_name_of(storage_class, options, base_url, name):
    keys = {"project_id": "tests", "credentials": AnonymousCredentials()}
    storage = storage_class(**{"bucket_name": "media", **keys, **options})
    assert is_google_storage(storage)
    assert name_of("media", "films/a b.mp4", base_url, storage) == name
