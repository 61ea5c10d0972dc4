"""Which files a slot takes.

A file is judged by its name and its size when it is registered, and by its first bytes before the
sink opens. XML is also judged by all of its bytes while they arrive. Nothing here trusts the
browser: the type that it claims may be a reason to refuse a file, but never a reason to accept it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.core.exceptions import SuspiciousFileOperation
from django.utils.text import format_lazy, get_valid_filename
from django.utils.translation import gettext_lazy as _

from ..content.names import type_of_name
from ..content.sizes import readable_size
from ..content.sniffing import (
    GENERIC_TYPES,
    compatible,
    is_active,
    is_active_name,
    is_xml,
    looks_like_html,
    sniff,
)
from ..content.xml import XMLGuard
from ..exceptions import ActiveContent, ContentMismatch, FileTooLarge, TypeNotAccepted, UploadError
from .validators import Validator

if TYPE_CHECKING:
    from .entry import UploadEntry
    from .slot import UploadSlot

#: Bytes that are checked before the sink opens. libmagic needs more of them only for disk images.
HEAD_SIZE = 16 * 1024


def check_registration(slot: UploadSlot, entry: UploadEntry) -> None:
    """Refuse a file for its declared size, its name or its claimed type.

    Raises :class:`FileTooLarge`, :class:`ActiveContent` or :class:`TypeNotAccepted`, and what the
    slot's own validators raise.
    """
    if entry.client_size > slot.max_file_size:
        raise FileTooLarge(
            f"{entry.client_size} bytes, over {slot.max_file_size}",
            message=format_lazy(
                _("The file is too large: at most {size} are accepted."),
                size=readable_size(slot.max_file_size),
            ),
        )
    if not slot.allow_active_content and (
        is_active(entry.client_type) or any(map(is_active_name, _stored_names(entry)))
    ):
        raise ActiveContent(f"{entry.client_name!r}, claimed to be {entry.client_type!r}")
    if slot.accepted:
        _check_accepted(slot, entry)
    for validator in slot.validators:
        with mistakes_translated(validator):
            validator.check_registration(entry)


def _stored_names(entry: UploadEntry) -> Iterator[str]:
    """Yield the names under which the file may be stored.

    Each of these names drops or replaces other characters, so one of them may end in ``.js`` even
    if the others do not.
    """
    yield entry.client_name
    yield entry.safe_client_name
    with contextlib.suppress(SuspiciousFileOperation):
        # The name that a FileField would store.
        yield get_valid_filename(entry.client_name)


def _check_accepted(slot: UploadSlot, entry: UploadEntry) -> None:
    """Judge the name *and* the claimed type. By its claim alone, ``evil.exe`` could pass as
    ``image/png``."""
    accepted, claimed = slot.accepted, _claimed_type(entry)
    named = type_of_name(entry.client_name)
    agrees = (
        claimed in GENERIC_TYPES
        or accepted.takes_type(claimed)
        or (named and compatible(claimed, named))
        # No table knows the extension. If the slot accepts it, nothing contradicts the name.
        or not named
    )
    if not accepted.takes_name(entry.client_name) or not agrees:
        raise TypeNotAccepted(
            f"{entry.client_name!r}, claimed to be {claimed!r}, in a slot for {slot.accept!r}",
            message=format_lazy(
                _("Files of this type are not accepted here. Accepted: {types}."), types=slot.accept
            ),
        )


def _claimed_type(entry: UploadEntry) -> str:
    """Return the type that the browser claims, unless the claim is known to be wrong."""
    # Browsers ask Windows for the type of a file. Where Excel is installed, Windows gives a CSV
    # file this type.
    is_csv = type_of_name(entry.client_name) == "text/csv"
    return "" if is_csv and entry.client_type == "application/vnd.ms-excel" else entry.client_type


def check_content(slot: UploadSlot, entry: UploadEntry, head: bytes) -> None:
    """Judge the first bytes, and set ``entry.content_type``.

    Blocks, so call it in a thread. Raises :class:`ActiveContent` or :class:`ContentMismatch`.
    """
    named = type_of_name(entry.client_name)
    found = sniff(head) or named or "application/octet-stream"
    entry.content_type = found
    if head:
        if not slot.allow_active_content and (is_active(found) or looks_like_html(head)):
            raise ActiveContent(f"{entry!r} holds {found}")
        for declared in (_claimed_type(entry), named):
            if not compatible(found, declared):
                raise ContentMismatch(f"{entry!r} holds {found}, which is not {declared}")
        _check_found_accepted(slot, entry, found)
    # libmagic calls a CSV file "text/plain" and some ZIP-based formats "application/zip". The type
    # of the name is more exact, and was found to be compatible, so it is stored.
    if named not in GENERIC_TYPES and found != named and not is_active(named):
        entry.content_type = named


def _check_found_accepted(slot: UploadSlot, entry: UploadEntry, found: str) -> None:
    accepted = slot.accepted
    if not accepted or accepted.takes_type(found) or found in GENERIC_TYPES:
        return
    # The name was accepted, and the content is compatible with it.
    named = type_of_name(entry.client_name)
    lowered = entry.client_name.lower().rstrip(" .")
    if any(lowered.endswith(extension) for extension in accepted.extensions):
        return
    if named and accepted.takes_type(named):
        return
    raise ContentMismatch(f"{entry!r} holds {found}, in a slot for {slot.accept!r}")


def xml_guard(slot: UploadSlot, entry: UploadEntry, head: bytes) -> XMLGuard | None:
    """Return the guard that every byte of an XML file must pass, or ``None`` for other files.

    A slot that allows active content needs no guard.
    """
    if slot.allow_active_content or not head or not is_xml(entry.content_type, head):
        return None
    return XMLGuard()


@contextlib.contextmanager
def mistakes_translated(validator: Validator) -> Iterator[None]:
    """Raise an unexpected exception of an application's validator as an :class:`UploadError`.

    A mistake in a validator ends the upload, and nothing else.
    """
    try:
        yield
    except UploadError:
        raise
    except Exception as exc:
        raise UploadError(f"{type(validator).__name__} raised {exc!r}") from exc
