"""Upload fields for Django's forms. ``docs/forms.md`` shows how they are used."""

from __future__ import annotations

from .doors.forms.admin import UploadAdminMixin
from .doors.forms.endpoint import FormUploads
from .doors.forms.fields import UploadField, UploadImageField
from .doors.forms.requests import UploadMiddleware
from .doors.forms.values import FormFile
from .doors.forms.widgets import AdminUploadWidget, UploadWidget

__all__ = [
    "AdminUploadWidget",
    "FormFile",
    "FormUploads",
    "UploadAdminMixin",
    "UploadField",
    "UploadImageField",
    "UploadMiddleware",
    "UploadWidget",
]
