"""Cleans the file names that clients send, and finds the MIME type that an extension stands for."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

#: The most bytes that a cleaned name has in UTF-8. Most file systems take 255 bytes for one
#: component of a path, and a storage makes a name longer if another file has it.
_MAX_CLIENT_NAME = 200
_MAX_SAFE_NAME = 100


#: Characters that nobody sees: marks that change the direction of the text around them, with which
#: "gpj.exe" looks like "exe.jpg" (https://www.unicode.org/reports/tr9/), and spaces without width.
#: Joiners are not among them: Persian words and joined emoji need them.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)

#: They join what is before them and what comes next, so they mean nothing at an end.
_JOINERS = "\u200c\u200d"


def clean_client_name(name: str) -> str:
    """Return the last component of a file name, without control and invisible characters.

    The result has no separators, and is never ``"."``, ``".."`` or empty. So it is safe in
    ``default_storage.save(f"avatars/{entry.client_name}", …)``. It has at most 200 bytes in UTF-8.
    """
    # The last component is at the end. A hostile client may send a megabyte before it.
    name = unicodedata.normalize("NFC", name[-4 * _MAX_CLIENT_NAME :])
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cs"))
    kept = _INVISIBLE.sub("", kept).strip().strip(_JOINERS).strip()
    return _shorten(kept, _MAX_CLIENT_NAME) if kept.strip(". ") else "upload"


def clean_relative_path(path: str) -> str:
    """Return a path within a dropped folder with each component cleaned, for display.

    Each component is cleaned by :func:`clean_client_name`.
    """
    parts = [part for part in re.split(r"[/\\]", path[:4096]) if part.strip(". ")]
    return "/".join(clean_client_name(part) for part in parts)


#: Names of devices, which are no names of files on Windows:
#: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


def safe_client_name(name: str) -> str:
    """Return a name like ``name`` that has only ASCII letters, digits, ``-``, ``_`` and ``.``.

    It has at most 100 characters, does not begin with a dot, and is not the name of a device of
    Windows.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^\w.-]+", "_", ascii_name, flags=re.ASCII).strip("._-")
    safe = re.sub(r"\.{2,}", ".", safe)
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


#: MIME types that the tables of Python and of the system often lack.
_EXTRA_TYPES = {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jxl": "image/jxl",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".webm": "video/webm",
    ".xhtml": "application/xhtml+xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def type_of_name(name: str) -> str:
    """Return the MIME type that a file's extension stands for, or ``""`` if it is not known."""
    extension = extension_of(name)
    guessed, _encoding = mimetypes.guess_type(f"x{extension}", strict=False)
    return _EXTRA_TYPES.get(extension) or guessed or ""


def extension_of(name: str) -> str:
    """Return the extension of a name in lower case, such as ``.png`` for ``a.PNG``, or ``""``.

    For ``evil.svg .`` it is ``.svg``, because some systems drop the space and the dot at the end.
    """
    stem, dot, extension = name.rstrip(" .").rpartition(".")
    return f".{extension.lower()}" if dot and stem else ""
