"""Files of every sink in an ImageField and a FileField."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection
from django.test import override_settings
from PIL import Image

from djust_uploads.sinks import MemorySink, S3Sink, StorageSink, TemporaryFileSink
from tests.models import Document, Picture
from tests.support.buckets import info, write
from tests.support.s3_stores import KEYS, empty


def png(size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, "PNG")
    return content.getvalue()


@pytest.fixture(autouse=True, scope="module")
def tables():
    with connection.schema_editor() as editor:
        editor.create_model(Document)
        editor.create_model(Picture)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Document)
        editor.delete_model(Picture)


@pytest.fixture(params=["memory", "temporary file", "storage", "S3"])
def sink(request, tmp_path):
    match request.param:
        case "memory":
            return MemorySink()
        case "temporary file":
            return TemporaryFileSink(tmp_path)
        case "storage":
            return StorageSink(FileSystemStorage(tmp_path / "uploads"))
    store = request.getfixturevalue("moto_store")
    empty(store)
    return S3Sink("media", **store.options)


@pytest.fixture(params=["files", "S3"])
def media(request, tmp_path):
    """The default storage, where a FileField without one stores."""
    if request.param == "files":
        with override_settings(MEDIA_ROOT=tmp_path / "media"):
            yield
        return
    store = request.getfixturevalue("moto_store")
    empty(store)
    keys = {"access_key": KEYS["aws_access_key_id"], "secret_key": KEYS["aws_secret_access_key"]}
    place = {"endpoint_url": store.endpoint_url, "bucket_name": "media", "location": "public"}
    options = {**keys, **place, "region_name": "us-east-1", "file_overwrite": False}
    storage = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    with override_settings(STORAGES={"default": storage}):
        yield


@asynccontextmanager
async def uploaded(sink, data, name):
    writer = await sink.open(info(len(data), name, "image/png"))
    await write(writer, data)
    file = await writer.finish()
    try:
        yield file
    finally:
        await file.adelete()
        await sink.aclose()


def use(sink, data, name, application):
    """Call ``application`` with an uploaded file where Django's own calls run: in a thread without
    an event loop, which this one is as soon as the upload has ended."""
    upload = uploaded(sink, data, name)
    with asyncio.Runner() as runner:
        file = runner.run(upload.__aenter__())
        try:
            application(file)
        finally:
            runner.run(upload.__aexit__(None, None, None))


def content_of(name):
    with default_storage.open(name) as stored:
        return stored.read()


def test_save_on_the_field(media, sink):
    def application(file):
        picture = Picture()
        picture.image.save("cat.png", file)
        assert (picture.width, picture.height) == (60, 40)
        pictures.append(picture.pk)

    pictures = []
    use(sink, png(), "cat.png", application)
    picture = Picture.objects.get(pk=pictures[0])
    assert picture.image.name == "pictures/cat.png"
    assert (picture.width, picture.height) == (60, 40)
    assert content_of(picture.image.name) == png()


def test_assigned_and_saved(media, sink):
    def application(file):
        picture = Picture(image=file)
        assert (picture.width, picture.height) == (60, 40)
        picture.save()
        pictures.append(picture.pk)

    pictures = []
    use(sink, png(), "cat.png", application)
    picture = Picture.objects.get(pk=pictures[0])
    assert picture.image.name == "pictures/cat.png"
    assert picture.image.size == len(png())
    assert content_of(picture.image.name) == png()


def test_a_file_field_and_a_name_that_is_taken(media, sink):
    default_storage.save("documents/notes.txt", io.BytesIO(b"the first"))
    saved = []

    def application(file):
        document = Document.objects.create(file=file)
        saved.append(Document.objects.get(pk=document.pk).file.name)

    use(sink, b"the second", "notes.txt", application)
    assert saved[0].startswith("documents/notes_") and saved[0].endswith(".txt")
    assert content_of("documents/notes.txt") == b"the first"
    assert content_of(saved[0]) == b"the second"


def test_a_larger_image_is_replaced_by_a_smaller_one(media, sink):
    picture = Picture.objects.create(image=default_storage.save("big.png", io.BytesIO(png((9, 9)))))

    def application(file):
        picture.image = file
        picture.save()

    use(sink, png(), "cat.png", application)
    picture.refresh_from_db()
    assert (picture.width, picture.height) == (60, 40)
    assert content_of(picture.image.name) == png()
