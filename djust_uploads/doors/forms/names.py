"""The names of the slots of forms: each upload field of each form has a slot of its own.

A name is the path of the field, such as ``films.forms.FilmForm.video``, with our signature. Any
process finds the field by it, even if it has never shown the form. Only pages that show the form
know the name, and nobody can make us import anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from django.core.signing import BadSignature, Signer
from django.utils.module_loading import import_string

from ...exceptions import UnknownSlot
from ...uploads.authorization import answer

if TYPE_CHECKING:
    from django.forms import BaseForm

    from ...slots.entry import UploadEntry
    from ...slots.slot import UploadSlot

#: Where the rule of a field is found when somebody consumes a receipt: its endpoint asks the field.
RULE = "djust_uploads.doors.forms.endpoint.FormUploads"

_signer_salt = "djust_uploads.forms"


class HasSlot(Protocol):
    """What a field must have. An :class:`~djust_uploads.forms.UploadField` has it."""

    @property
    def slot(self) -> UploadSlot:
        """The slot of the field."""

    #: What the application asks about each file, or ``None``.
    authorize_upload: Callable[[UploadEntry, Any], Any] | None


#: Fields of this process that have no path to import, for example of a form class that a function
#: creates. Other processes do not find them, and their pages post the files with the form.
_local: WeakValueDictionary[str, Any] = WeakValueDictionary()


def slot_name(path: str) -> str:
    """Return the name of the slot of the field at ``path``."""
    return Signer(salt=_signer_salt).sign(path)


def path_of(form: BaseForm, name: str, field: HasSlot) -> str:
    """Return the path of a form's field.

    That is the path of the class that declares the field, which a class that a factory made from it
    has as its base.
    """
    for base in type(form).__mro__:
        path = f"{base.__module__}.{base.__qualname__}.{name}"
        if name in getattr(base, "declared_fields", {}) and _imported(path) is not None:
            return path
    model = getattr(getattr(form, "_meta", None), "model", None)
    label = model._meta.label if model else type(form).__qualname__
    path = f"{type(form).__module__}.{type(form).__qualname__}:{label}.{name}"
    _local[path] = type(form).base_fields.get(name, field)  # type: ignore[attr-defined]
    return path


def field_of(slot: str) -> HasSlot:
    """Return the field of a slot. Raises :class:`UnknownSlot` for a name that we did not sign, and
    for a field that does not exist any more."""
    try:
        path = Signer(salt=_signer_salt).unsign(slot)
    except BadSignature as exc:
        raise UnknownSlot(f"{slot!r:.80}: {exc}") from None
    field = _local.get(path) or _imported(path)
    if field is None:
        raise UnknownSlot(f"no upload field {path!r:.200}")
    return field


def asking(authorize: Callable[[UploadEntry, Any], Any], user: Any) -> Callable[[UploadEntry], Any]:
    """Return a field's ``authorize_upload`` as a function of the entry only."""

    async def ask(entry: UploadEntry) -> Any:
        return await answer(authorize, entry, user)

    return ask


def _imported(path: str) -> HasSlot | None:
    """Return the field of a form's or an admin's class, or ``None`` if it can't be imported."""
    owner, _, name = path.rpartition(".")
    owner, _, model = owner.partition(":")
    try:
        found: Any = import_string(owner)
    except ImportError:
        return None
    if model:
        uploads = getattr(found, "upload_field_of", None)
        of_admin: HasSlot | None = uploads(model, name) if uploads else None
        return of_admin
    field: HasSlot | None = getattr(found, "declared_fields", {}).get(name)
    return field
