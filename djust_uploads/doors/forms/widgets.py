"""What an upload field shows, and what it finds in a POST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.core.files import File
from django.forms import CheckboxInput, ClearableFileInput
from django.utils.translation import gettext_lazy as _

from ...settings import upload_settings
from .handler import SLOT_SUFFIX
from .values import FormFile

#: What is added to the name of a file input for the name of the checkboxes that remove uploads.
REMOVE_SUFFIX = "-remove"

#: What the page's JavaScript says. It gets these translated, in attributes.
TEXTS: dict[str, Any] = {
    "remove": _("Remove {name}"),
    "uploading": _("{name}: uploading"),
    "done": _("{name}: uploaded"),
    "failed": _("The upload failed. Please try again."),
    "unreadable": _("The file can't be read any more. Please choose it again."),
}


@dataclass
class Submission:
    """What a POST has for one upload field."""

    receipts: list[str] = field(default_factory=list)
    #: Files that came with the POST.
    files: list[File[Any]] = field(default_factory=list)
    #: Receipts whose files the user has removed.
    removed: set[str] = field(default_factory=set)
    #: The names of initial files that the user has removed.
    cleared: set[str] = field(default_factory=set)
    #: Whether "clear" is checked.
    clear: bool = False

    def __post_init__(self) -> None:
        # One upload is one file. As two, it would be saved twice, or replaced by itself.
        self.receipts = list(dict.fromkeys(self.receipts))

    def __bool__(self) -> bool:
        """Whether the POST changes anything."""
        return bool(self.files or self.cleared or self.clear or set(self.receipts) - self.removed)

    @classmethod
    def of(cls, data: Any) -> Submission:
        """Return what ``data`` means, which may be a file, a receipt, or a list of these."""
        if isinstance(data, cls):
            return data
        if data is False:
            return cls(clear=True)
        values = data if isinstance(data, list | tuple) else [data] if data else []
        receipts = [value for value in values if isinstance(value, str)]
        return cls(receipts, [value for value in values if not isinstance(value, str)])


@dataclass(frozen=True)
class Shown:
    """The value of a bound field: the initial file or files, and the uploads that wait."""

    initial: Any
    uploads: Sequence[FormFile]

    def __str__(self) -> str:
        return ", ".join(str(upload) for upload in self.uploads)


class UploadWidget(ClearableFileInput):
    """A file input whose files the page sends ahead of the form.

    Uploads that wait for the form are listed, each with its receipt in a hidden input. The
    JavaScript is part of the widget, so a page need not show the form's ``media``.
    """

    template_name = "djust_uploads/forms/upload.html"
    #: The name of the field's slot; the field sets it for each form.
    slot: str = ""
    max_entries: int = 1
    resumable: bool = True

    @property
    def allow_multiple_selected(self) -> bool:  # type: ignore[override]
        return self.max_entries > 1

    # The page

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        shown = value if isinstance(value, Shown) else Shown(value, ())
        context: dict[str, Any] = super().get_context(name, self._single(shown.initial), attrs)
        widget = context["widget"]
        for upload in shown.uploads:
            upload.show()
        if self.allow_multiple_selected:
            widget["attrs"]["multiple"] = True
            widget["kept"] = list(shown.initial or ())
        if shown.uploads or widget.get("kept"):
            widget["attrs"].pop("required", None)
        widget.update(
            uploads=shown.uploads,
            slot=self.slot,
            slot_name=name + SLOT_SUFFIX,
            remove_name=name + REMOVE_SUFFIX,
            max_entries=self.max_entries,
            url=f"{upload_settings().form_uploads_url}{quote(self.slot, safe='')}/",
            texts=TEXTS,
            remove_text=_("Remove"),
            resumable=self.resumable,
        )
        return context

    def _single(self, initial: Any) -> Any:
        return None if self.allow_multiple_selected else initial

    def is_initial(self, value: Any) -> bool:
        if isinstance(value, Shown):
            value = self._single(value.initial)
        return super().is_initial(value)

    # The POST

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Submission | None:
        clear = self.clear_checkbox_name(name)
        self.checked: bool = clear in data
        submission = Submission(
            receipts=[value for value in _list(data, name) if value and isinstance(value, str)],
            files=[value for value in _list(files, name) if value is not None],
            removed=set(_list(data, name + REMOVE_SUFFIX)),
        )
        if self.allow_multiple_selected:
            submission.cleared = set(_list(data, clear))
        elif not self.is_required:
            submission.clear = bool(CheckboxInput().value_from_datadict(data, files, clear))
        return submission if submission or submission.removed else None

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        names = (name, name + REMOVE_SUFFIX, self.clear_checkbox_name(name))
        return name not in files and not any(each in data for each in names)


class AdminUploadWidget(UploadWidget):
    """An :class:`UploadWidget` in the look of Django's admin."""

    template_name = "djust_uploads/forms/admin_upload.html"


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    """Return all values of a name. ``values`` may be a plain dictionary, as in a test."""
    if hasattr(values, "getlist"):
        return list(values.getlist(name))
    value = values.get(name)
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def names_of(files: Iterable[Any]) -> list[str]:
    """Return the names by which the page tells initial files apart."""
    return [str(getattr(file, "name", file)) for file in files]
