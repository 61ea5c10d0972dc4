"""What bytes are: by libmagic, as a browser sees them, and as a parser reads them.

Knows neither slots nor entries; :mod:`djust_uploads.slots.acceptance` decides what to do about it.
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


def is_active(content_type: str) -> bool:
    return content_type in ACTIVE_TYPES


def is_active_name(name: str) -> bool:
    return extension_of(name) in ACTIVE_EXTENSIONS or is_active(type_of_name(name))


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


def is_xml(content_type: str, head: bytes) -> bool:
    """Whether a browser would parse these bytes as XML, by their type or by how they begin."""
    content_type = _SAME.get(content_type, content_type)
    return (
        content_type == "text/xml"
        or content_type.endswith("+xml")
        or _text_start(head).startswith(b"<?xml")
    )
