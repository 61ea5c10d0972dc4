"""Which JavaScript modules an entry of the page loads, so that the browser can load them at once.

A browser finds out about a module when it has read the one that imports it. On a distant server
each such step costs a round trip.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from django.apps import apps
from django.templatetags.static import static

_STATIC = Path(__file__).parent / "static"
_IMPORT = re.compile(r"""^(?:import|\})[^"';]*?["'](\.{1,2}/[^"']+)["'];""", re.M)

#: Where our files are below STATIC_URL.
PREFIX = "djust_uploads/"


@functools.cache
def imported_by(entry: str) -> tuple[str, ...]:
    """Return the modules that an entry imports, directly or not, as paths below :data:`PREFIX`."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        module = PurePosixPath(waiting.pop())
        source = (_STATIC / PREFIX / module).read_text()
        for path in _IMPORT.findall(source):
            imported = _normal(module.parent / path)
            if imported not in found:
                found[imported] = None
                waiting.append(imported)
    return tuple(sorted(found))


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def preloaded_by(entry: str) -> list[str]:
    """Return the URLs that the browser will ask for when it loads an entry.

    A storage that puts a hash into the names also changes the imports in the modules only if it has
    ``support_js_module_import_aggregation``. Otherwise, they lead to the files without a hash.
    """
    if _imports_are_hashed():
        return [static(PREFIX + module) for module in imported_by(entry)]
    base = static(PREFIX + entry)
    return [urljoin(base, module) for module in imported_by(entry)]


def _imports_are_hashed() -> bool:
    if not apps.is_installed("django.contrib.staticfiles"):
        return False
    from django.contrib.staticfiles.storage import staticfiles_storage

    return bool(getattr(staticfiles_storage, "support_js_module_import_aggregation", False))
