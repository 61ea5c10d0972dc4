"""The pages that a browser opens: one for each contender, with the scripts that it needs.

Every contender's server serves the pages itself, so that a page and its uploads have one origin.
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse

ROOT = Path(__file__).parent.parent.parent

#: Where tests/npm.sh installs what others made.
PEERS = Path(sys.prefix) / "npm" / "node_modules"

#: The directories by the first part of an URL's path.
DIRECTORIES = {
    "pages": ROOT / "benchmarks" / "browser" / "pages",
    "static": ROOT / "djust_uploads" / "static",
    "peers": PEERS,
}

#: The scripts and stylesheets of each page, and what is in its body.
PAGES = {
    "xhr": ([], '<input type="file" multiple>'),
    "bare": ([], '<input type="file">'),
    "tus": (["tus-js-client/dist/tus.min.js"], '<input type="file" multiple>'),
    "uppy": (["uppy/dist/uppy.min.css", "uppy/dist/uppy.min.js"], '<div id="place"></div>'),
    "filepond": (
        ["filepond/dist/filepond.min.css", "filepond/dist/filepond.min.js"],
        '<input type="file" multiple>',
    ),
}


def page(name: str) -> bytes:
    """Return the HTML of a contender's page."""
    urls, body = PAGES[name]
    return document(_tags([f"/peers/{url}" for url in urls]), body, name)


def document(head: str, body: str, script: str) -> bytes:
    return (
        f'<!doctype html><meta charset="utf-8"><title>{script}</title>'
        f'<link rel="icon" href="data:,">{head}<body>{body}'
        f'<script src="/pages/measure.js"></script><script src="/pages/{script}.js"></script>'
    ).encode()


def _tags(urls: list[str]) -> str:
    return "".join(
        f'<link rel="stylesheet" href="{url}">'
        if url.endswith(".css")
        else f'<script src="{url}"></script>'
        for url in urls
    )


def asset(path: str) -> tuple[str, bytes] | None:
    """Return the type and the bytes of a script or a stylesheet, or ``None`` if there is none."""
    first, _, rest = path.strip("/").partition("/")
    file = DIRECTORIES[first] / rest if first in DIRECTORIES else None
    if file is None or ".." in rest or not file.is_file():
        return None
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream", file.read_bytes()


def send_asset(request: HttpRequest) -> HttpResponse:
    """The view of the assets."""
    found = asset(request.path)
    if found is None:
        raise Http404
    return HttpResponse(found[1], content_type=found[0])
