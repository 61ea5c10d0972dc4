"""Finds out what the bytes of a file are: for libmagic, for a browser, and for an XML parser.

Nothing here knows slots or entries. :mod:`djust_uploads.slots.acceptance` decides which files are
refused.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import TYPE_CHECKING

from ..exceptions import SinkMisconfigured
from .names import extension_of, type_of_name

if TYPE_CHECKING:
    import magic

#: MIME types that say nothing about the content.
GENERIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})

#: MIME types of files that may run scripts in a browser that shows them.
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

#: MIME types of files that libmagic always recognises. If a file is declared as one of these, and
#: libmagic recognises nothing or another one of these, the declaration is wrong.
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

#: Other names of a MIME type to the name that is used here. Some are deprecated by IANA, and some
#: are libmagic's own.
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

#: Each pattern matches MIME types that cannot be distinguished by the first bytes, because they
#: have the same container format, or because all of them are text.
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
#: Main types within which a different subtype is accepted, except for reliable types.
_MEDIA = frozenset({"audio", "font", "image", "video"})


def compatible(found: str, declared: str) -> bool:
    """Return whether a file that libmagic calls ``found`` may have the MIME type ``declared``.

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
        # SVG is the only image format that is text.
        return "image/svg+xml" not in (found, declared)
    # The family of text files has application/x-… in it, but some of those types are binary.
    families = _FAMILIES if _is_text(found) else _FAMILIES[:-1]
    return any(family.fullmatch(found) and family.fullmatch(declared) for family in families)


def _is_text(found: str) -> bool:
    return not re.fullmatch(r"application/x-.*", found) and bool(_FAMILIES[-1].fullmatch(found))


def is_active(content_type: str) -> bool:
    """Return whether files of this MIME type may run scripts in a browser."""
    return content_type in ACTIVE_TYPES


def is_active_name(name: str) -> bool:
    """Return whether the extension of a name belongs to files that may run scripts."""
    return extension_of(name) in ACTIVE_EXTENSIONS or is_active(type_of_name(name))


#: Matches the tags by which browsers recognise HTML, and other tags with which HTML may begin:
#: https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type
_HTML_START = re.compile(
    rb"<(!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--"
    rb"|svg|img|form|meta|link|object|embed|base)[\s/>]|<!--",
    re.I,
)
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def looks_like_html(head: bytes) -> bool:
    """Return whether a browser may take these bytes for HTML or SVG, whatever their MIME type."""
    return bool(_HTML_START.match(_text_start(head)))


def _text_start(head: bytes) -> bytes:
    """Return the bytes without a byte order mark and leading white space, as browsers do."""
    if encoding := _UTF16.get(head[:2]):
        head = head[2:].decode(encoding, "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\n\x0c\r")


_magic_lock = threading.Lock()


@cache
def _magic() -> magic.Magic:
    """Load libmagic's database once. Raises ``ImportError`` if the library is missing."""
    import magic

    return magic.Magic(mime=True)


def sniff(head: bytes) -> str:
    """Return the MIME type that libmagic finds for the first bytes of a file. Blocks.

    Returns ``""`` if there are no bytes. Raises :class:`SinkMisconfigured` if libmagic is not
    installed, because no file may pass unchecked.
    """
    if not head:
        return ""
    try:
        # libmagic's handle must not be used by two threads at once.
        with _magic_lock:
            return _magic().from_buffer(head)
    except ImportError as exc:
        raise SinkMisconfigured(f"python-magic can't load libmagic: {exc}") from exc


def is_xml(content_type: str, head: bytes) -> bool:
    """Return whether a browser may parse a file as XML, by its MIME type or its first bytes."""
    content_type = _SAME.get(content_type, content_type)
    return (
        content_type == "text/xml"
        or content_type.endswith("+xml")
        or _text_start(head).startswith(b"<?xml")
    )
