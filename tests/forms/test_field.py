"""``UploadField`` without a server: what Django's own tests say of ``FileField`` and
``ClearableFileInput``, said of ours (tests/forms_tests/field_tests/test_filefield.py,
tests/forms_tests/widget_tests/test_clearablefileinput.py)."""

from __future__ import annotations

import asyncio

import pytest
from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.core.checks import run_checks
from django.core.exceptions import SynchronousOnlyOperation, ValidationError
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.validators import FileExtensionValidator
from django.forms.widgets import FILE_INPUT_CONTRADICTION
from django.test import override_settings
from django.utils.datastructures import MultiValueDict
from google.auth.credentials import AnonymousCredentials

from djust_uploads import Validator
from djust_uploads.doors.forms.names import field_of, slot_name
from djust_uploads.doors.forms.widgets import Submission, UploadWidget
from djust_uploads.exceptions import InvalidSink, InvalidSlot, SinkFull, UnknownSlot
from djust_uploads.flow import bridge
from djust_uploads.forms import AdminUploadWidget, FormFile, UploadField, UploadImageField
from djust_uploads.signals import upload_completed
from djust_uploads.sinks import GCSSink, MemorySink, S3Sink, StorageSink
from tests.forms.site import AttachmentForm, DocumentForm, PhotosForm
from tests.models import Document
from tests.support.buckets import OBJECT_STORE
from tests.support.s3_stores import KEYS, empty


def file(name="a.txt", content=b"content"):
    return SimpleUploadedFile(name, content, "text/plain")


class Stored:
    """An initial value, as a model has it."""

    url = "/media/old.txt"
    name = "old.txt"

    def __str__(self):
        return self.name


class TestClean:
    def test_required(self):
        field = UploadField()
        for nothing in (None, "", [], Submission()):
            with pytest.raises(ValidationError, match="This field is required"):
                field.clean(nothing)
        assert field.clean(None, "files/old.txt") == "files/old.txt"

    def test_contradiction(self):
        field = UploadField(required=False)
        with pytest.raises(ValidationError, match="not both"):
            field.clean(FILE_INPUT_CONTRADICTION)
        with pytest.raises(ValidationError, match="not both"):
            field.clean(Submission(files=[file()], clear=True))

    def test_clear(self):
        assert UploadField(required=False).clean(False, "old.txt") is False
        with pytest.raises(ValidationError, match="required"):
            UploadField().clean(False)

    def test_no_file_at_all(self):
        with pytest.raises(ValidationError, match="not found"):
            UploadField().clean("text")
        with pytest.raises(ValidationError, match="No file was submitted"):
            UploadField().clean(object())

    def test_names_and_sizes(self):
        with pytest.raises(ValidationError, match="at most 5 characters"):
            UploadField(max_length=5).clean(file("long.txt"))
        with pytest.raises(ValidationError, match="is empty"):
            UploadField().clean(file(content=b""))
        assert UploadField(allow_empty_file=True).clean(file(content=b"")).size == 0

    def test_a_file(self):
        value = UploadField().clean(file())
        assert isinstance(value, FormFile)
        assert (value.name, value.size, value.read()) == ("a.txt", 7, b"content")
        assert (value.client_name, value.content_type) == ("a.txt", "text/plain")
        assert value.entry.file.temporary_file_path() == value.temporary_file_path()
        value.close()

    def test_several_with_initial(self):
        field = UploadField(max_entries=3, required=False)
        old = Stored()
        assert field.clean(None, [old]) == [old]
        value = field.clean([file("b.txt")], [old])
        assert [each.name for each in value] == ["old.txt", "b.txt"]
        assert field.clean(Submission(cleared={"old.txt"}), [old]) == []
        with pytest.raises(ValidationError, match="Too many files"):
            field.clean([file() for _ in range(3)], [old])

    def test_validators_of_both_kinds(self):
        class NoDrafts(Validator):
            def check_content(self, entry, head):
                from djust_uploads import ValidationFailed

                if b"draft" in head:
                    raise ValidationFailed(message="No drafts, please.")

        field = UploadField(validators=[NoDrafts(), FileExtensionValidator(["txt"])])
        with pytest.raises(ValidationError, match="No drafts"):
            field.clean(file(content=b"a draft"))
        with pytest.raises(ValidationError, match="is not allowed"):
            field.clean(SimpleUploadedFile("a.bin", b"x", "application/octet-stream"))
        assert field.clean(file()).name == "a.txt"

    def test_the_sinks_error_is_one_of_the_form(self):
        class FullSink(MemorySink):
            async def open(self, upload):
                raise SinkFull("no room")

        with pytest.raises(ValidationError, match="no space left") as caught:
            UploadField(sink=FullSink()).clean(file())
        assert caught.value.error_list[0].code == "storage_full"

    def test_wrong_options(self):
        with pytest.raises(InvalidSlot):
            UploadField(max_entries=0)
        with pytest.raises(InvalidSink):
            UploadField(sink="nonsense")

    async def test_on_an_event_loop(self):
        with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
            UploadField().clean(file())


class TestWhatDjangoAsks:
    def test_has_changed(self):
        field = UploadField(max_entries=2)
        for nothing in (None, [], "", Submission(), Submission(["a"], removed={"a"})):
            assert not field.has_changed(None, nothing)
            assert not field.has_changed("old.txt", nothing)
        assert field.has_changed("old.txt", file())
        assert field.has_changed("old.txt", Submission(["receipt"]))
        assert field.has_changed("old.txt", Submission(clear=True))
        assert not UploadField(disabled=True).has_changed("old.txt", file())

    def test_an_empty_row_of_a_formset(self, tables):
        rows = forms.formset_factory(AttachmentForm, extra=1)
        counts = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "0"}
        assert rows({**counts, "form-0-name": ""}, {}).is_valid()
        assert not rows({**counts, "form-0-name": "a"}, {}).is_valid()

    def test_value_omitted_from_data(self):
        omitted = UploadWidget().value_omitted_from_data
        assert omitted({}, {}, "file")
        assert not omitted({"file": "receipt"}, {}, "file")
        assert not omitted({}, {"file": file()}, "file")
        assert not omitted({"file-clear": ""}, {}, "file")

    def test_value_from_datadict(self):
        data, files = MultiValueDict({"p-file": ["a", "b"]}), MultiValueDict()
        found = UploadWidget().value_from_datadict(data, files, "p-file")
        assert found.receipts == ["a", "b"]
        assert UploadWidget().value_from_datadict({}, {}, "file") is None

    def test_disabled(self):
        class Form(forms.Form):
            file = UploadField(disabled=True)

        form = Form({}, {"file": file()}, initial={"file": Stored()})
        assert form.is_valid() and str(form.cleaned_data["file"]) == "old.txt"
        assert "disabled" in str(form["file"])

    def test_bound_data(self):
        class Form(forms.Form):
            file = UploadField()
            name = forms.CharField()

        form = Form({}, {"file": file("<b>.txt")}, initial={"file": Stored()})
        assert not form.is_valid()
        html = str(form["file"])
        assert 'href="/media/old.txt"' in html and "&lt;b&gt;.txt" in html
        assert str(form["file"].value()) == "<b>.txt"
        assert str(Form(initial={"file": Stored()})["file"].value()) == "old.txt"
        # Another form of the class has nothing of it.
        assert "&lt;b&gt;" not in str(Form()["file"])

    def test_what_the_page_gets(self):
        html = str(PhotosForm(prefix="p")["photos"])
        assert 'name="p-photos"' in html and "multiple" in html and 'accept=".txt,.png"' in html
        # The handler must know the slot before the file comes.
        assert html.index('name="p-photos-slot"') < html.index('type="file"')
        assert "required" in html

    def test_the_admins_widget_is_replaced(self):
        assert isinstance(UploadField(widget=AdminFileWidget).widget, AdminUploadWidget)
        field = Document._meta.get_field("file").formfield(
            form_class=UploadImageField, widget=AdminFileWidget
        )
        assert isinstance(field.widget, AdminUploadWidget)


class TestNames:
    def test_the_field_of_a_form(self):
        slot = DocumentForm()["file"].field.slot
        assert field_of(slot.name) is DocumentForm.declared_fields["file"]
        # A factory's class has the slot of the class from which it is made.
        made = forms.modelform_factory(Document, form=DocumentForm, fields=["file"])
        assert made()["file"].field.slot.name == slot.name

    def test_a_class_that_cannot_be_imported(self):
        class Local(forms.Form):
            file = UploadField()

        name = Local()["file"].field.slot.name
        assert field_of(name) is Local.base_fields["file"]

    @pytest.mark.parametrize(
        "name", ["", "tests.forms.site.DocumentForm.file", slot_name("os.path.x"), slot_name("a:b")]
    )
    def test_nonsense(self, name):
        with pytest.raises(UnknownSlot):
            field_of(name)


class TestInPlace:
    """A FileField with the storage of the sink refers to the file where it is."""

    @pytest.fixture(params=["files", "S3", "obstore", "GCS"])
    def stored(self, request, tmp_path, monkeypatch):
        if request.param == "files":
            with override_settings(MEDIA_ROOT=str(tmp_path)):
                yield StorageSink("default", upload_to="films/")
            return
        if request.param == "GCS":
            store = request.getfixturevalue("gcs_proxy")
            # The storage has no option for it.
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
            backend = "storages.backends.gcloud.GoogleCloudStorage"
            options = {"project_id": "tests", "credentials": AnonymousCredentials()}
            sink = GCSSink("media", "films/", **store.options)
        else:
            store = request.getfixturevalue("moto_store")
            empty(store)
            backend = "storages.backends.s3.S3Storage"
            options = {
                "access_key": KEYS["aws_access_key_id"],
                "secret_key": KEYS["aws_secret_access_key"],
                "endpoint_url": store.endpoint_url,
                "region_name": "us-east-1",
            }
            if request.param == "S3":
                sink = S3Sink("media", "films/", **store.options)
            else:
                sink = OBJECT_STORE.make(store, upload_to="films/")
        place = {"bucket_name": "media", "location": "films"}
        storage = {"BACKEND": backend, "OPTIONS": {**place, **options}}
        with override_settings(STORAGES={"default": storage}):
            yield sink
            # The uploads of this process, and so the sink's connections, live on one loop.
            bridge.run(sink.aclose)

    def test_saved_to_a_model(self, tables, stored):
        class Form(forms.ModelForm):
            file = UploadField(sink=stored)

            class Meta:
                model = Document
                fields = ["file"]

        form = Form({}, {"file": file(content=b"film" * 1000)})
        assert form.is_valid(), form.errors
        uploaded = form.cleaned_data["file"]
        key = uploaded.entry.file.metadata["key"]
        document = form.save()
        assert key.endswith(document.file.name)
        with Document.objects.get(pk=document.pk).file.open() as saved:
            assert saved.read() == b"film" * 1000
        assert default_storage.exists(document.file.name)


def test_the_signal_comes_once_and_its_mistakes_are_logged(caplog):
    heard = []

    def receive(entry, slot, **kwargs):
        heard.append((entry.client_name, entry.complete, slot))
        raise RuntimeError("a mistake")

    async def areceive(entry, **kwargs):
        await asyncio.sleep(0)
        heard.append(entry.ref)

    upload_completed.connect(receive)
    upload_completed.connect(areceive)
    try:
        value = UploadField().clean(file())
    finally:
        upload_completed.disconnect(receive)
        upload_completed.disconnect(areceive)
    assert sorted(map(str, heard)) == sorted([str(("a.txt", True, "form")), value.entry.ref])
    assert "a mistake" in caplog.text


class TestChecks:
    def found(self):
        return [message.id for message in run_checks(tags=["djust_uploads"])]

    def test_without_fields(self):
        assert self.found() == []

    def test_what_is_missing(self):
        UploadField()
        assert self.found() == ["djust_uploads.W012", "djust_uploads.W013"]
        assert "ASGI_APPLICATION" in run_checks(tags=["djust_uploads"])[1].hint
        with override_settings(
            MIDDLEWARE=["djust_uploads.forms.UploadMiddleware"],
            ASGI_APPLICATION="tests.forms.test_field.application",
        ):
            assert self.found() == []
            with override_settings(DJUST_UPLOADS={"FORM_UPLOADS_URL": "/elsewhere/"}):
                assert self.found() == ["djust_uploads.W013"]


def __getattr__(name):
    if name != "application":
        raise AttributeError(name)
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    from djust_uploads.forms import FormUploads

    routes = [path("uploads/", FormUploads.as_asgi())]
    return ProtocolTypeRouter({"http": URLRouter(routes)})
