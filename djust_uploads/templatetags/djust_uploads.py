"""``{% load djust_uploads %}``."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from ..texts import catalogue

register: template.Library = template.Library()


@register.simple_tag
def upload_assets(url: str = "") -> SafeString:
    """The browser's side: a stylesheet, the sentences in the active language, and one external
    module. There is no inline script that runs and no inline style, so a Content-Security-Policy of
    ``'self'`` will do, with ``img-src 'self' blob:; media-src 'self' blob:`` for the pictures of
    the files.

    ``{% upload_assets %}`` on a djust page; ``{% upload_assets "/ws/gallery/" %}`` on a page of a
    plain consumer, with the path of its WebSocket.
    """
    style = format_html('<link rel="stylesheet" href="{}">', _url("uploads.css"))
    texts = json_script(catalogue(get_language() or settings.LANGUAGE_CODE), "djust-upload-texts")
    return format_html("{}{}{}", style, texts, _module(url))


def _module(url: str) -> SafeString:
    if not url:
        return format_html('<script type="module" src="{}"></script>', _url("djust.js"))
    return format_html(
        '<script type="module" src="{}" data-upload-socket="{}"></script>', _url("channels.js"), url
    )


def _url(name: str) -> str:
    return static(f"djust_uploads/{name}")
