"""What is refused, and by which look: at names and numbers on registration, at the first bytes
before the sink opens, and, for XML alone, at every byte on its way.

Nothing here stores anything, and nothing trusts the browser: the claimed type can only make a file
be refused, never be accepted.
"""

from __future__ import annotations

import contextlib
import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING
from xml.parsers import expat

from django.core.exceptions import SuspiciousFileOperation
from django.utils.text import get_valid_filename

from .exceptions import (
    ActiveContent,
    ContentMismatch,
    FileTooLarge,
    SinkMisconfigured,
    TypeNotAccepted,
    UploadError,
)
from .slots import extension_of, type_of_name

if TYPE_CHECKING:
    import magic

    from .entries import UploadEntry
    from .slots import UploadSlot

#: Bytes that are looked at before the sink opens. libmagic's rules for the formats that browsers
#: name reach no further, but for disk images.
HEAD_SIZE = 16 * 1024

#: Longest names kept: bytes of UTF-8, what most file systems take for one component.
_MAX_CLIENT_NAME = 255
_MAX_SAFE_NAME = 100


# Names


def clean_client_name(name: str) -> str:
    """The last component of what the browser said, without control or formatting characters.

    Safe in ``default_storage.save(f"avatars/{entry.client_name}", …)``: it has no separators and
    is never ``"."``, ``".."`` or empty.
    """
    # Only the tail can be the last component; a hostile megabyte is not worth normalising.
    name = unicodedata.normalize("NFC", name[-4 * _MAX_CLIENT_NAME :])
    last = re.split(r"[/\\]", name)[-1]
    # Cf holds the bidirectional overrides that make "gpj.exe" read as "exe.jpg".
    kept = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs")).strip()
    return _shorten(kept, _MAX_CLIENT_NAME) if kept.strip(". ") else "upload"


def clean_relative_path(path: str) -> str:
    """A dropped folder's path for display, component by component as :func:`clean_client_name`."""
    parts = [part for part in re.split(r"[/\\]", path[:4096]) if part.strip(". ")]
    return "/".join(clean_client_name(part) for part in parts)


#: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


def safe_client_name(name: str) -> str:
    """Letters, digits, ``-``, ``_`` and ``.`` in ASCII; at most 100 characters; not hidden."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^\w.-]+", "_", ascii_name, flags=re.ASCII).strip("._-")
    if not safe.rpartition(".")[0] and (extension := extension_of(name)).isascii():
        safe = f"upload{re.sub(r'[^.a-z0-9]', '', extension)}" if extension else safe or "upload"
    if _WINDOWS_DEVICES.fullmatch(safe):
        safe = f"upload_{safe}"
    return _shorten(safe or "upload", _MAX_SAFE_NAME)


def _shorten(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    extension = extension_of(name)
    extension = extension if len(extension.encode()) < limit // 4 else ""
    kept = name[: len(name) - len(extension)].encode()[: limit - len(extension.encode())]
    return kept.decode(errors="ignore") + extension


# Registration: names and numbers


def check_registration(slot: UploadSlot, entry: UploadEntry) -> None:
    """Refuse by declared size, name and claimed type.

    Raises :class:`FileTooLarge`, :class:`ActiveContent` or :class:`TypeNotAccepted`, and whatever
    the slot's own validators raise.
    """
    if entry.client_size > slot.max_file_size:
        raise FileTooLarge(
            f"{entry.client_size} bytes, over {slot.max_file_size}",
            message=f"The file is too large: at most {_readable(slot.max_file_size)} are accepted.",
        )
    if not slot.allow_active_content and (
        _is_active(entry.client_type) or any(map(_is_active_name, _stored_names(entry)))
    ):
        raise ActiveContent(f"{entry.client_name!r}, claimed to be {entry.client_type!r}")
    if slot.accepted:
        _check_accepted(slot, entry)
    for validator in slot.validators:
        with _mistakes_translated(validator):
            validator.check_registration(entry)


def _stored_names(entry: UploadEntry) -> Iterator[str]:
    """The names under which the file may be stored. Each spelling drops or replaces characters of
    its own, so one may end in ``.js`` where another does not."""
    yield entry.client_name
    yield entry.safe_client_name
    with contextlib.suppress(SuspiciousFileOperation):
        # What a FileField makes of it.
        yield get_valid_filename(entry.client_name)


def _check_accepted(slot: UploadSlot, entry: UploadEntry) -> None:
    """By name *and* claim: a claim alone lets ``evil.exe`` pass as ``image/png``."""
    accepted, claimed = slot.accepted, _claimed_type(entry)
    named = type_of_name(entry.client_name)
    agrees = (
        claimed in GENERIC_TYPES
        or accepted.takes_type(claimed)
        or (named and compatible(claimed, named))
        # An extension that no table knows: the slot names it, so nothing can contradict it.
        or not named
    )
    if not accepted.takes_name(entry.client_name) or not agrees:
        raise TypeNotAccepted(
            f"{entry.client_name!r}, claimed to be {claimed!r}, in a slot for {slot.accept!r}",
            message=f"Files of this type are not accepted here. Accepted: {slot.accept}.",
        )


def _claimed_type(entry: UploadEntry) -> str:
    """What the browser claims, but for claims that are known to be wrong."""
    # Where Excel is installed, Windows gives a CSV this type, and browsers ask Windows.
    is_csv = type_of_name(entry.client_name) == "text/csv"
    return "" if is_csv and entry.client_type == "application/vnd.ms-excel" else entry.client_type


def _readable(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size = size // 1000 if size % 1000 == 0 else round(size / 1000, 1)  # type: ignore[assignment]
    return f"{size} {unit}"


# Content


#: Claims that say nothing.
GENERIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})

#: What a browser runs, or may be talked into running, when it is served inline.
ACTIVE_TYPES = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/x-javascript",
        "application/xhtml+xml",
        "application/x-shockwave-flash",
        "application/xslt+xml",
        "image/svg+xml",
        "multipart/related",
        "text/ecmascript",
        "text/html",
        "text/javascript",
        "text/xsl",
    }
)
ACTIVE_EXTENSIONS = frozenset(
    {
        ".cjs", ".hta", ".htc", ".htm", ".html", ".js", ".mht", ".mhtml", ".mjs", ".shtml", ".svg",
        ".svgz", ".swf", ".xht", ".xhtml", ".xsl", ".xslt",
    }
)  # fmt: skip

#: Types whose files libmagic always knows: "no idea" and "another one of these" are mismatches too.
_RELIABLE = frozenset(
    {
        "application/gzip",
        "application/pdf",
        "application/zip",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
    }
)

#: Other names for one type, from IANA's deprecations and libmagic's own spellings.
_SAME = {
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "application/x-bzip2": "application/bzip2",
    "application/x-pdf": "application/pdf",
    "application/x-rar-compressed": "application/x-rar",
    "application/vnd.rar": "application/x-rar",
    "application/xml": "text/xml",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/wav": "audio/x-wav",
    "audio/wave": "audio/x-wav",
    "audio/vnd.wave": "audio/x-wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/heif": "image/heic",
    "text/rtf": "application/rtf",
}

#: Types that the first bytes can't tell apart: the same container, or text.
_FAMILIES = tuple(
    re.compile(pattern)
    for pattern in (
        r"application/(zip|java-archive|vnd\.(openxmlformats|oasis|android|apple|ms-|google-earth\.kmz)"
        r".*|.*\+zip|x-(zip|cbz|java|xpinstall).*)",
        r"application/(x-ole-storage|cdfv2.*|msword|vnd\.ms-.*|x-msi|vnd\.visio)",
        r"application/(vnd\.microsoft\.portable-executable|x-(dosexec|msdos-program|msdownload"
        r"|ms-dos-executable|exe))",
        r"application/(vnd\.debian\.binary-package|x-(debian-package|deb))",
        r"application/(gzip|x-g?tar|x-tgz|x-compressed.*|.*\+gzip)",
        r"(audio|video|application)/(x-)?(mp4|m4[av]|quicktime|3gpp2?|ogg|webm|matroska|ms-asf|ms-w.*)",
        r"text/.*|message/.*|model/.*|application/(.*\+)?(json|json5|ld|xml|yaml|toml|sql|rtf|x-.*)",
    )
)
#: Main types whose members are alike enough to the first look, but for the reliable ones.
_MEDIA = frozenset({"audio", "font", "image", "video"})


def compatible(found: str, declared: str) -> bool:
    """Whether bytes that libmagic calls ``found`` may be a file of type ``declared``.

    >>> compatible("application/zip", "application/epub+zip")
    True
    >>> compatible("application/x-dosexec", "image/jpeg")
    False
    """
    found, declared = _SAME.get(found, found), _SAME.get(declared, declared)
    if found == declared or declared in GENERIC_TYPES:
        return True
    if found in GENERIC_TYPES:
        return declared not in _RELIABLE
    if found in _RELIABLE and declared in _RELIABLE:
        return False
    main = found.partition("/")[0]
    if main in _MEDIA and declared.startswith(f"{main}/"):
        # SVG is the one image that is text.
        return "image/svg+xml" not in (found, declared)
    # A text family that takes application/x-… must not take binaries that are called so.
    families = _FAMILIES if _is_text(found) else _FAMILIES[:-1]
    return any(family.fullmatch(found) and family.fullmatch(declared) for family in families)


def _is_text(found: str) -> bool:
    return not re.fullmatch(r"application/x-.*", found) and bool(_FAMILIES[-1].fullmatch(found))


def check_content(slot: UploadSlot, entry: UploadEntry, head: bytes) -> None:
    """Judge the first bytes and set ``entry.content_type``; blocking, for a worker thread.

    Raises :class:`ActiveContent` or :class:`ContentMismatch`, and whatever the slot's own
    validators raise.
    """
    named = type_of_name(entry.client_name)
    found = sniff(head) or named or "application/octet-stream"
    entry.content_type = found
    if head:
        if not slot.allow_active_content and (_is_active(found) or looks_like_html(head)):
            raise ActiveContent(f"{entry!r} holds {found}")
        for declared in (_claimed_type(entry), named):
            if not compatible(found, declared):
                raise ContentMismatch(f"{entry!r} holds {found}, which is not {declared}")
        _check_found_accepted(slot, entry, found)
    # libmagic says "text/plain" of a CSV and "application/zip" of an EPUB: where the name is more
    # exact and nothing contradicts it, the name's type is the better one to store.
    if named not in GENERIC_TYPES and found != named and not _is_active(named):
        entry.content_type = named
    for validator in slot.validators:
        with _mistakes_translated(validator):
            validator.check_content(entry, head)


def _check_found_accepted(slot: UploadSlot, entry: UploadEntry, found: str) -> None:
    accepted = slot.accepted
    if not accepted or accepted.takes_type(found) or found in GENERIC_TYPES:
        return
    # The name's type was accepted, and the content is compatible with it.
    named = type_of_name(entry.client_name)
    lowered = entry.client_name.lower().rstrip(" .")
    if any(lowered.endswith(extension) for extension in accepted.extensions):
        return
    if named and accepted.takes_type(named):
        return
    raise ContentMismatch(f"{entry!r} holds {found}, in a slot for {slot.accept!r}")


def _is_active(content_type: str) -> bool:
    return content_type in ACTIVE_TYPES


def _is_active_name(name: str) -> bool:
    return extension_of(name) in ACTIVE_EXTENSIONS or _is_active(type_of_name(name))


#: https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type: how browsers
#: recognise HTML, and the other tags that start one in practice.
_HTML_START = re.compile(
    rb"<(!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--"
    rb"|svg|img|form|meta|link|object|embed|base)[\s/>]|<!--",
    re.I,
)
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def looks_like_html(head: bytes) -> bool:
    """Whether a browser that sniffs would take these bytes for HTML or SVG."""
    return bool(_HTML_START.match(_text_start(head)))


def _text_start(head: bytes) -> bytes:
    """The bytes as a browser's sniffer compares them: no byte order mark, no leading space."""
    if encoding := _UTF16.get(head[:2]):
        head = head[2:].decode(encoding, "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\n\x0c\r")


_magic_lock = threading.Lock()


@cache
def _magic() -> magic.Magic:
    """libmagic's database, loaded once; raises ``ImportError`` where the library is missing."""
    import magic

    return magic.Magic(mime=True)


def sniff(head: bytes) -> str:
    """The MIME type of the first bytes by libmagic; ``""`` for no bytes. Blocking.

    Raises :class:`SinkMisconfigured` where libmagic is not installed: without a look at the content
    nothing may pass.
    """
    if not head:
        return ""
    try:
        # A libmagic cookie is not safe for two threads.
        with _magic_lock:
            return _magic().from_buffer(head)
    except ImportError as exc:
        raise SinkMisconfigured(f"python-magic can't load libmagic: {exc}") from exc


class XMLGuard:
    """Reads XML as it passes and refuses what a browser would run in it.

    XML's scripts may come anywhere in the file and hide behind entities and character references,
    so only a parser can say that there are none. What is not well-formed is refused too: parsers
    differ in how they go on after an error.
    """

    _ACTIVE_NAMESPACES = (
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/XSL/Transform",
    )

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._element
        self._parser.ProcessingInstructionHandler = self._instruction
        self._parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes, final: bool = False) -> None:
        """Raises :class:`ActiveContent`."""
        try:
            self._parser.Parse(data, final)
        # LookupError and ValueError: an encoding that Python or expat can't read.
        except (expat.ExpatError, LookupError, ValueError) as exc:
            raise ActiveContent(
                f"XML that can't be checked: {exc}", message="The XML file has an error in it."
            ) from exc

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        if name.startswith(self._ACTIVE_NAMESPACES):
            raise ActiveContent(f"XML with <{name}>")

    def _instruction(self, target: str, data: str) -> None:
        if target.lower() == "xml-stylesheet":
            raise ActiveContent("XML with a stylesheet")

    def _entity(self, name: str, *args: object) -> None:
        raise ActiveContent(f"XML that declares the entity {name}")


def xml_guard(slot: UploadSlot, entry: UploadEntry, head: bytes) -> XMLGuard | None:
    """The guard that every byte of ``entry`` must pass, if it is XML and the slot is not lax."""
    if slot.allow_active_content or not head:
        return None
    content_type = _SAME.get(entry.content_type, entry.content_type)
    is_xml = (
        content_type == "text/xml"
        or content_type.endswith("+xml")
        or _text_start(head).startswith(b"<?xml")
    )
    return XMLGuard() if is_xml else None


@contextlib.contextmanager
def _mistakes_translated(validator: Validator) -> Iterator[None]:
    """A mistake in the application's validator ends the upload, and nothing but the upload."""
    try:
        yield
    except UploadError:
        raise
    except Exception as exc:
        raise UploadError(f"{type(validator).__name__} raised {exc!r}") from exc


class Validator:
    """Base for an application's own checks: ``allow_upload(…, validators=[NoPortraits()])``.

    Override one method or both, and raise
    :class:`~djust_uploads.exceptions.ValidationFailed` or a subclass to refuse the file::

        class NoDrafts(Validator):
            def check_registration(self, entry):
                if entry.client_name.startswith("draft"):
                    raise ValidationFailed(message="Please upload the final version.")
    """

    def check_registration(self, entry: UploadEntry) -> None:
        """Judge names and numbers. Runs on the event loop: must not block."""

    def check_content(self, entry: UploadEntry, head: bytes) -> None:
        """Judge the first bytes (at most 16 KiB), before the sink opens. Runs in a thread."""
