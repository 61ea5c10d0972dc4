"""A site with forms, as Django's documentation has them, and their views.

The forms with "Stock" in their names are Django's own. Ours differ from them in the field's line.
https://docs.djangoproject.com/en/stable/topics/http/file-uploads/#handling-uploaded-files-with-a-model
"""

from django import forms
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.html import format_html

from djust_uploads.forms import UploadField, UploadImageField
from tests.models import Attachment, Document, Picture


class StockDocumentForm(forms.ModelForm):
    title = forms.CharField(max_length=10)
    file = forms.FileField(required=False)

    class Meta:
        model = Document
        fields = ["file"]


class DocumentForm(StockDocumentForm):
    file = UploadField(required=False, max_file_size=2_000_000_000)


class StockPictureForm(forms.ModelForm):
    image = forms.ImageField()

    class Meta:
        model = Picture
        fields = ["image"]


class PictureForm(StockPictureForm):
    image = UploadImageField()


class PhotosForm(forms.Form):
    """No model, several files."""

    title = forms.CharField(max_length=10)
    photos = UploadField(max_entries=3, accept=".txt,.png", max_file_size=1_000_000)


class FilmForm(forms.Form):
    film = UploadField(max_file_size=2_000_000_000)


class OtherForm(forms.Form):
    photos = UploadField(max_entries=3, required=False)


class AttachmentForm(forms.ModelForm):
    file = UploadField()

    class Meta:
        model = Attachment
        fields = ["name", "file"]


AttachmentFormSet = forms.inlineformset_factory(
    Document, Attachment, form=AttachmentForm, extra=1, can_delete=True
)

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Form</title>
<link rel="icon" href="data:,"></head><body><h1>{title}</h1>
<form method="post" enctype="multipart/form-data">{form}<button>Save</button></form>
</body></html>"""


def page(request, title, *forms_):
    token = format_html(
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">', get_token(request)
    )
    shown = token + "".join(str(form.as_p()) for form in forms_)
    return HttpResponse(PAGE.format(title=title, form=shown))


def edit(request, form_class, pk=None):
    """Create or edit an object, as in Django's documentation."""
    model = form_class._meta.model
    instance = get_object_or_404(model, pk=pk) if pk else None
    if request.method == "POST":
        form = form_class(request.POST, request.FILES, instance=instance)
        if form.is_valid():
            saved = form.save()
            return HttpResponseRedirect(f"{saved.pk}/" if pk is None else request.path)
    else:
        form = form_class(instance=instance)
    return page(request, model.__name__, form)


def photos(request, form_class=PhotosForm):
    """Save the files of a form without a model."""
    if request.method == "POST":
        form = form_class(request.POST, request.FILES)
        if form.is_valid():
            if request.POST.get("title") == "raise":
                raise RuntimeError("a mistake")
            saved = [
                [photo.client_name, photo.save(f"photos/{photo.client_name}"), photo.size]
                for photo in form.cleaned_data["photos"]
            ]
            return JsonResponse({"saved": saved})
    else:
        form = form_class()
    return page(request, "Photos", form)


def films(request):
    """Take the entry of a form without a model."""
    if request.method == "POST":
        form = FilmForm(request.POST, request.FILES)
        if form.is_valid():
            film = form.cleaned_data["film"]
            return JsonResponse({"sha256": film.entry.sha256})
    else:
        form = FilmForm()
    return page(request, "Film", form)


def two_forms(request):
    """Two forms on a page: both must be valid."""
    kwargs = (request.POST, request.FILES) if request.method == "POST" else ()
    document, other = DocumentForm(*kwargs), OtherForm(*kwargs, prefix="other")
    if request.method == "POST" and document.is_valid() and other.is_valid():
        document.save()
        return HttpResponseRedirect(request.path)
    return page(request, "Two", document, other)


def rolled_back(request):
    form = DocumentForm(request.POST, request.FILES)
    if form.is_valid():
        with transaction.atomic():
            form.save()
            transaction.set_rollback(True)
    return HttpResponse("rolled back")


def rows(request, pk):
    document = get_object_or_404(Document, pk=pk)
    if request.method == "POST":
        formset = AttachmentFormSet(request.POST, request.FILES, instance=document)
        if formset.is_valid():
            formset.save()
            return HttpResponseRedirect(request.path)
    else:
        formset = AttachmentFormSet(instance=document)
    return page(request, "Rows", formset)


def media(request, name):
    with default_storage.open(name) as file:
        return HttpResponse(file.read(), content_type="application/octet-stream")


urlpatterns = [
    path("documents/", edit, {"form_class": DocumentForm}),
    path("documents/<int:pk>/", edit, {"form_class": DocumentForm}),
    path("documents/<int:pk>/rows/", rows),
    path("stock/documents/", edit, {"form_class": StockDocumentForm}),
    path("stock/documents/<int:pk>/", edit, {"form_class": StockDocumentForm}),
    path("pictures/", edit, {"form_class": PictureForm}),
    path("pictures/<int:pk>/", edit, {"form_class": PictureForm}),
    path("stock/pictures/", edit, {"form_class": StockPictureForm}),
    path("stock/pictures/<int:pk>/", edit, {"form_class": StockPictureForm}),
    path("photos/", photos),
    path("other/", photos, {"form_class": OtherForm}),
    path("films/", films),
    path("two/", two_forms),
    path("rolled-back/", rolled_back),
    path("media/<path:name>", media),
]
