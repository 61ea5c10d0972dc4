"""The template tag ``upload_assets``, by ``{% load djust_uploads %}``."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from ..modules import preloaded_by
from ..texts import catalogue

register: template.Library = template.Library()


@register.simple_tag
def upload_assets(url: str = "") -> SafeString:
    """Return the HTML that loads the stylesheet, the sentences and the JavaScript of the page.

    Write ``{% upload_assets %}`` on a djust page. On a page of a plain consumer, write
    ``{% upload_assets "/ws/gallery/" %}``, with the path of the consumer's WebSocket.

    The sentences are in the active language. No inline script runs, and there is no inline style. A
    Content-Security-Policy of ``default-src 'self'`` suffices, with ``img-src 'self' blob:;
    media-src 'self' blob:`` for the pictures of the files.
    """
    style = format_html('<link rel="stylesheet" href="{}">', _url("uploads.css"))
    texts = json_script(catalogue(get_language() or settings.LANGUAGE_CODE), "djust-upload-texts")
    return format_html("{}{}{}", style, texts, _module(url))


def _module(url: str) -> SafeString:
    if not url:
        script = format_html('<script type="module" src="{}"></script>', _url("djust.js"))
        return format_html("{}{}", _preloads("djust.js"), script)
    script = format_html(
        '<script type="module" src="{}" data-upload-socket="{}"></script>', _url("channels.js"), url
    )
    return format_html("{}{}", _preloads("channels.js"), script)


def _preloads(entry: str) -> SafeString:
    """Return the links with which the browser loads all modules at once."""
    links = ((url,) for url in preloaded_by(entry))
    return format_html_join("", '<link rel="modulepreload" href="{}">', links)


def _url(name: str) -> str:
    return static(f"djust_uploads/{name}")
