"""The translations: what the code says, what the catalogues have, and how to bring them together.

``make messages`` runs this module: new sentences come into each ``.po`` file without a translation,
and the ``.mo`` files are written anew.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import djust_uploads

PACKAGE = Path(djust_uploads.__file__).parent
LOCALE = PACKAGE / "locale"
LANGUAGES = ("de", "fa")

#: Django looks for the server's sentences in one domain and for the browser's in another.
DOMAINS = {
    "django": ("python", "*.py"),
    "djangojs": ("javascript", "static/**/*.js"),
}

KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
}


def extracted(domain: str) -> Catalog:
    """The sentences in the code."""
    method, pattern = DOMAINS[domain]
    catalog = Catalog(domain=domain, charset="utf-8")
    for path in sorted(PACKAGE.rglob(pattern)):
        for _line, message, _comments, context in extract_from_file(method, path, KEYWORDS):
            name = path.relative_to(PACKAGE).as_posix()
            catalog.add(message, locations=[(name, None)], context=context)
    return catalog


def path_of(language: str, domain: str, ending: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.{ending}"


def read(language: str, domain: str) -> Catalog:
    with path_of(language, domain, "po").open("rb") as file:
        return read_po(file, locale=language, domain=domain)


def compiled(catalog: Catalog) -> bytes:
    """The ``.mo`` file of a catalogue."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def catalogues() -> Iterator[tuple[str, str]]:
    for language in LANGUAGES:
        for domain in DOMAINS:
            yield language, domain


def update() -> None:
    """Write every catalogue anew."""
    for language, domain in catalogues():
        catalog = read(language, domain)
        catalog.update(extracted(domain), no_fuzzy_matching=True)
        catalog.obsolete.clear()
        with path_of(language, domain, "po").open("wb") as file:
            write_po(file, catalog, width=100, sort_by_file=True, omit_header=False)
        path_of(language, domain, "mo").write_bytes(compiled(catalog))


if __name__ == "__main__":
    update()
