"""``PDFValidator``: refuses PDF files with scripts, embedded files or other active content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from ..exceptions import ActiveContent, ContentMismatch, UploadError
from ..slots.entry import UploadEntry
from ..slots.validators import Validator

if TYPE_CHECKING:
    from ..files import SinkFile

#: Names of dictionary entries and of actions that do more than show pages. See ISO 32000-2, 12.6.4
#: "Action types", 7.11.4 "Embedded file streams", 12.7.8 "XFA forms", 13.7 "Rich media".
_ACTIVE = frozenset(
    {
        "/JS",
        "/JavaScript",
        "/Launch",
        "/EmbeddedFile",
        "/EmbeddedFiles",
        "/GoToE",
        "/ImportData",
        "/RichMedia",
        "/Rendition",
        "/SubmitForm",
        "/XFA",
    }
)

_MESSAGE = "PDF files with scripts or with files inside are not accepted. Please export it again."


class PDFValidator(Validator):
    """Refuses PDF files with active content.

    That is JavaScript, actions that start programs or send forms, embedded files, and XFA forms.
    Encrypted files are refused, because their content cannot be checked. Files of more than
    ``max_objects`` objects are refused too. A file of another type passes. Use ``accept`` to refuse
    other types. The file is checked in a thread when it is stored.

    Raises :class:`~djust_uploads.exceptions.ActiveContent` and
    :class:`~djust_uploads.exceptions.ContentMismatch`. It needs
    ``pip install 'djust-uploads[pdf]'``.
    """

    def __init__(self, *, max_objects: int = 200_000) -> None:
        try:
            import pypdf  # noqa: F401
        except ImportError as exc:
            raise ImportError("PDFValidator needs pypdf: pip install 'djust-uploads[pdf]'") from exc
        self._max_objects = max_objects

    def check_file(self, entry: UploadEntry, file: SinkFile) -> None:
        """Judge the stored document."""
        if file.read(1024).find(b"%PDF-") < 0:
            return
        file.seek(0)
        try:
            self._check(entry, file)
        except UploadError:
            raise
        # pypdf raises nearly anything for a damaged file.
        except Exception as exc:
            raise ContentMismatch(
                f"{entry!r}: {exc!r}", message=_("The PDF file is damaged. Please export it again.")
            ) from exc

    def _check(self, entry: UploadEntry, file: SinkFile) -> None:
        from pypdf import PdfReader

        reader = PdfReader(file, strict=False)
        if reader.is_encrypted:
            raise ActiveContent(
                f"{entry!r} is encrypted", message=_("Encrypted PDF files are not accepted.")
            )
        for name in _names(reader, self._max_objects):
            if name in _ACTIVE:
                raise ActiveContent(f"{entry!r} holds {name}", message=_MESSAGE)


def _names(reader: Any, limit: int) -> Iterator[str]:
    """Yield every name in the document's objects: keys of dictionaries, and names as values."""
    from pypdf.generic import IndirectObject

    ids = [(number, generation) for generation, known in reader.xref.items() for number in known]
    ids += [(number, 0) for number in reader.xref_objStm]
    yield from _names_in(reader.trailer)
    for count, (number, generation) in enumerate(ids):
        if count >= limit:
            raise ActiveContent(f"over {limit} objects", message=_MESSAGE)
        yield from _names_in(reader.get_object(IndirectObject(number, generation, reader)))


def _names_in(root: Any) -> Iterator[str]:
    """Yield the names in one object. What it refers to is an object of its own."""
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from map(str, value)
            # The values are read raw, because get() would follow references.
            stack.extend(dict.values(value))
        elif isinstance(value, list):
            stack.extend(list.__iter__(value))
        elif isinstance(value, str) and value.startswith("/"):
            yield str(value)
