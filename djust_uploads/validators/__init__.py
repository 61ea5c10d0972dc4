"""Checks that many sites need, for ``allow_upload(validators=[...])``.

Each module says what it needs: Pillow for images, pypdf for PDF files, a clamd for viruses.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .archives import ArchiveValidator
    from .clamav import ClamAVValidator
    from .duplicates import DuplicateValidator
    from .images import ImageValidator
    from .pdf import PDFValidator

_HOMES = {
    "ArchiveValidator": "archives",
    "ClamAVValidator": "clamav",
    "DuplicateValidator": "duplicates",
    "ImageValidator": "images",
    "PDFValidator": "pdf",
}

__all__ = [
    "ArchiveValidator",
    "ClamAVValidator",
    "DuplicateValidator",
    "ImageValidator",
    "PDFValidator",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
