"""``{% load djust_uploads %}``."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def upload_scripts(url: str = "") -> SafeString:
    """The browser's side, as one external module: no inline script, so any CSP that allows
    ``'self'`` will do.

    ``{% upload_scripts %}`` on a djust page; ``{% upload_scripts "/ws/gallery/" %}`` on a page of a
    plain consumer, with the path of its WebSocket.
    """
    if not url:
        return format_html('<script type="module" src="{}"></script>', _url("djust"))
    return format_html(
        '<script type="module" src="{}" data-upload-socket="{}"></script>', _url("channels"), url
    )


def _url(module: str) -> str:
    return static(f"djust_uploads/{module}.js")
