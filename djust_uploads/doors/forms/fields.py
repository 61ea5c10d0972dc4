"""``UploadField`` and ``UploadImageField``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.validators import validate_image_file_extension
from django.forms.widgets import FILE_INPUT_CONTRADICTION

from ...exceptions import (
    ActiveContent,
    ContentMismatch,
    ReceiptUsed,
    TooManyFiles,
    TypeNotAccepted,
    UploadError,
)
from ...flow import bridge
from ...slots.slot import UploadSlot
from ...slots.validators import Validator
from .handler import BoundedFile
from .holding import Held, hold
from .intake import store
from .names import path_of, slot_name
from .requests import current_request
from .values import FormFile
from .widgets import AdminUploadWidget, Shown, Submission, UploadWidget, names_of

if TYPE_CHECKING:
    from django.forms.boundfield import BoundField

    from ...sinks.base import Sink
    from ...slots.entry import UploadEntry


class UploadField(forms.FileField):
    """A ``forms.FileField`` whose files are streamed into a sink, ahead of the POST or with it.

    Its value is a :class:`~djust_uploads.forms.FormFile`, or a list of them if ``max_entries`` is
    more than 1.

    :param sink: An alias of ``DJUST_UPLOADS["SINKS"]``, a :class:`~djust_uploads.Sink`, or a
        callable that takes the entry and returns one of these. ``None`` means ``"default"``.
    :param accept: Extensions and MIME types, separated by commas as in HTML. ``""`` accepts any
        type.
    :param max_file_size: The most bytes of a file.
    :param max_entries: How many files the field takes. With more than one, the field's value is a
        list, and so is its initial value.
    :param resumable: Whether an interrupted upload goes on where it was when the connection is back
        or the user chooses the file again.
    :param allow_active_content: Whether to accept HTML, SVG and scripts. If so, serve the files
        from another origin.
    :param permission_required: Django's permissions that a user must have to upload a file, as
        ``"films.add_film"`` or as a list.
    :param authorize_upload: A function or coroutine function that is called with the entry and the
        user, and returns whether the user may upload the file. It is asked when the file is
        registered, resumed and consumed, with a form that is sent without JavaScript too.
    :param quotas: What may be uploaded into this field beside ``DJUST_UPLOADS["QUOTAS"]``, in the
        same form.
    :param validators: Checks of :class:`~djust_uploads.Validator`, which judge a file while it
        arrives, and validators of Django, which get each :class:`~djust_uploads.forms.FormFile`.

    The other parameters are those of ``forms.FileField``. Raises
    :class:`~djust_uploads.exceptions.InvalidSlot` or
    :class:`~djust_uploads.exceptions.InvalidSink` for an option that is not accepted.
    """

    widget = UploadWidget

    #: Whether the process has an upload field, so that the system checks look for what it needs.
    declared: ClassVar[bool] = False

    #: What finds the field for its slot, if its form's class does not declare it.
    path: str = ""

    def __init__(
        self,
        *,
        sink: str | Sink | Callable[[UploadEntry], str | Sink] | None = None,
        accept: str = "",
        max_file_size: int = 10_000_000,
        max_entries: int = 1,
        resumable: bool = True,
        allow_active_content: bool = False,
        permission_required: str | Iterable[str] = (),
        authorize_upload: Callable[[UploadEntry, Any], Any] | None = None,
        quotas: Mapping[str, Mapping[str, int | None]] | None = None,
        validators: Iterable[Any] = (),
        widget: Any = None,
        **kwargs: Any,
    ) -> None:
        UploadField.declared = True
        validators = list(validators)
        self.resumable = resumable
        self.authorize_upload = authorize_upload
        self._slot = UploadSlot(
            "form",
            accept=accept,
            max_entries=max_entries,
            max_file_size=max_file_size,
            sink=sink,
            # A receipt leads to the upload in any process.
            resumable=True,
            allow_active_content=allow_active_content,
            validators=self._slot_validators(validators),
            permission_required=permission_required,
            quotas=quotas or {},
        )
        self._uploads: list[FormFile] = []
        self._bound: BoundField | None = None
        others = [each for each in validators if not isinstance(each, Validator)]
        super().__init__(validators=others, widget=self._own_widget(widget), **kwargs)

    def _slot_validators(self, validators: Iterable[Any]) -> tuple[Validator, ...]:
        return tuple(each for each in validators if isinstance(each, Validator))

    def _own_widget(self, widget: Any) -> Any:
        """Return a widget that shows uploads. The admin would give us its own."""
        kind = widget if isinstance(widget, type) else type(widget)
        if issubclass(kind, AdminFileWidget):
            return AdminUploadWidget
        return widget

    def __deepcopy__(self, memo: dict[int, Any]) -> UploadField:
        copied: UploadField = super().__deepcopy__(memo)
        copied._uploads, copied._bound = [], None
        return copied

    # The slot

    @property
    def slot(self) -> UploadSlot:
        """The slot that judges the field's files."""
        return self._slot

    def named(self, path: str) -> None:
        """Let the slot have the name of the field at ``path``."""
        name = slot_name(path)
        if self._slot.name != name:
            self._slot = dataclasses.replace(self._slot, name=name)
        if isinstance(self.widget, UploadWidget):
            self.widget.slot = name
            self.widget.max_entries = self._slot.max_entries
            self.widget.resumable = self.resumable

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> BoundField:
        self.named(self.path or path_of(form, field_name, self))
        return super().get_bound_field(form, field_name)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attrs: dict[str, Any] = super().widget_attrs(widget)
        if isinstance(widget, UploadWidget):
            widget.max_entries = self._slot.max_entries
        if self._slot.accept and "accept" not in widget.attrs:
            attrs["accept"] = self._slot.accept
        return attrs

    @property
    def is_multiple(self) -> bool:
        """Whether the field takes several files, so that its value is a list."""
        return self._slot.max_entries > 1

    # What the POST has

    def _clean_bound_field(self, bf: BoundField) -> Any:
        self._bound = bf
        return super()._clean_bound_field(bf)  # type: ignore[misc]

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return the field's value. Raises ``ValidationError``.

        Files that came with the POST are stored now. ``data`` may also be a file, a receipt or a
        list of these.
        """
        if self.disabled and initial:
            return initial
        if data is FILE_INPUT_CONTRADICTION:
            return super().clean(data, initial)
        submission = Submission.of(data)
        errors = self._receive(submission)
        if errors:
            raise ValidationError(errors)
        if self.is_multiple:
            return self._several(submission, list(initial or ()))
        return self._single(submission, initial)

    def _single(self, submission: Submission, initial: Any) -> Any:
        # A file that came with the POST replaces one that waited.
        for replaced in self._uploads[:-1]:
            replaced.remove()
        self._uploads = self._uploads[-1:]
        if submission.clear and self._uploads:
            raise ValidationError(self.error_messages["contradiction"], code="contradiction")
        if submission.clear and not self.required:
            return False
        value = self._uploads[0] if self._uploads else None
        if value is None and initial and not submission.clear:
            return initial
        self.validate(value)
        return value

    def _several(self, submission: Submission, initial: list[Any]) -> list[Any]:
        kept = [
            file
            for file, name in zip(initial, names_of(initial), strict=True)
            if name not in submission.cleared
        ]
        value = [*kept, *self._uploads]
        if len(value) > self._slot.max_entries:
            raise _as_validation_error(TooManyFiles())
        self.validate(value)
        return value

    def _receive(self, submission: Submission) -> list[ValidationError]:
        """Take the uploads and the files of a POST. Return the errors of those that are refused."""
        errors: list[ValidationError] = []
        self._uploads = []
        takes = [partial(self._of_receipt, receipt) for receipt in submission.receipts]
        takes += [partial(self._of_file, file) for file in submission.files]
        for take in takes:
            try:
                self._receive_one(take, submission.removed)
            except UploadError as error:
                errors.append(self._error_of(error))
            except ValidationError as error:
                errors.append(error)
        return errors

    def _receive_one(self, take: Callable[[], FormFile], removed: set[str]) -> None:
        upload = take()
        if upload.receipt in removed:
            upload.remove()
            return
        self._judge(upload)
        self._uploads.append(upload)

    def _judge(self, upload: FormFile) -> None:
        """Check a stored file by Django's rules. Raises ``ValidationError``."""
        try:
            self.to_python(upload)
            self.run_validators(upload)
        except ValidationError:
            upload.remove()
            raise

    def _error_of(self, error: UploadError) -> ValidationError:
        return _as_validation_error(error)

    def _of_receipt(self, receipt: str) -> FormFile:
        request = current_request()
        held = request.held(receipt) if request else None
        if held is None:
            return self._held(hold(receipt, request.requester if request else {}, self._slot))
        if held.place != self._place:
            raise ReceiptUsed("another field of the request has it")
        return FormFile(held)

    def _of_file(self, file: File[Any]) -> FormFile:
        # A form may be validated twice.
        stored: FormFile | None = getattr(file, "_form_file", None)
        if isinstance(file, FormFile):
            return file
        if stored is None:
            if isinstance(file, BoundedFile):
                file.check()
            self.to_python(file)
            request = current_request()
            requester = request.requester if request else None
            stored = self._held(store(file, self._slot, requester, self.authorize_upload))
            file._form_file = stored  # type: ignore[attr-defined]
        return stored

    @property
    def _place(self) -> str:
        """The name of the field in the POST."""
        return self._bound.html_name if self._bound else ""

    def _held(self, held: Held) -> FormFile:
        held.place = self._place
        held.form = self._bound.form if self._bound else None
        if request := current_request():
            request.add(held)
        else:
            # Nobody settles later what becomes of it.
            bridge.run(held.consume)
        return FormFile(held)

    # What Django's forms ask

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what a bound form shows: the initial file or files, and the uploads that wait."""
        return Shown(initial, self._uploads) if self._uploads else initial

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the POST changes the field. An empty row of a formset does not."""
        return not self.disabled and bool(Submission.of(data))


class UploadImageField(UploadField):
    """A ``forms.ImageField`` whose files are streamed into a sink.

    Images are verified by Pillow when they are stored, and not read into memory as a whole. It
    needs ``pip install pillow``. ``accept`` defaults to ``"image/*"``, and the other parameters are
    those of :class:`UploadField`.
    """

    default_validators: list[Any] = [validate_image_file_extension]
    default_error_messages: ClassVar[Any] = forms.ImageField.default_error_messages

    def __init__(self, *, accept: str = "image/*", **kwargs: Any) -> None:
        super().__init__(accept=accept, **kwargs)

    def _slot_validators(self, validators: Iterable[Any]) -> tuple[Validator, ...]:
        from ...validators import ImageValidator

        own = super()._slot_validators(validators)
        # An application that limits the size of images verifies them by the same validator.
        verifies = any(isinstance(each, ImageValidator) for each in own)
        return own if verifies else (*own, ImageValidator())

    def _error_of(self, error: UploadError) -> ValidationError:
        if isinstance(error, TypeNotAccepted | ContentMismatch | ActiveContent):
            # Django says the same, whatever makes a file no image.
            return ValidationError(self.error_messages["invalid_image"], code="invalid_image")
        return super()._error_of(error)


def _as_validation_error(error: UploadError) -> ValidationError:
    """Return an error of an upload as one of a form, with its sentence and its code."""
    return ValidationError(str(error.message), code=error.code)
