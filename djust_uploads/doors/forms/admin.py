"""``UploadAdminMixin``: uploads in Django's admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.apps import apps
from django.db import models

from .fields import UploadField, UploadImageField
from .widgets import AdminUploadWidget


class UploadAdminMixin:
    """Lets the files of a ``ModelAdmin`` or of an inline be uploaded ahead of its form::

        @admin.register(Film)
        class FilmAdmin(UploadAdminMixin, admin.ModelAdmin):
            upload_fields = {"video": {"sink": "media", "max_file_size": 10 * GB}}

    ``upload_fields`` has the options of :class:`~djust_uploads.forms.UploadField` for the names of
    fields. By default, every ``FileField`` and ``ImageField`` takes uploads, with default options.
    """

    upload_fields: ClassVar[Mapping[str, Mapping[str, Any]] | None] = None

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return an upload field for a field with a file, and else what Django returns."""
        if self._takes(db_field):
            return self.upload_field_of(db_field.model._meta.label, db_field.name)
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]

    @classmethod
    def _takes(cls, db_field: Any) -> bool:
        if not isinstance(db_field, models.FileField):
            return False
        return cls.upload_fields is None or db_field.name in cls.upload_fields

    @classmethod
    def upload_field_of(cls, model: str, name: str) -> UploadField | None:
        """Return the upload field of a model's field, or ``None`` if it takes no uploads.

        ``model`` is the label of the model, such as ``"films.Film"``.
        """
        db_field: Any = apps.get_model(model)._meta.get_field(name)
        if not cls._takes(db_field):
            return None
        image = isinstance(db_field, models.ImageField)
        field: UploadField = db_field.formfield(
            # An ImageField asks for its own class of form fields.
            form_class=UploadImageField if image else UploadField,
            widget=AdminUploadWidget,
            **(cls.upload_fields or {}).get(name, {}),
        )
        field.path = f"{cls.__module__}.{cls.__qualname__}:{model}.{name}"
        return field
