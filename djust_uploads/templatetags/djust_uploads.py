"""``{% load djust_uploads %}``."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register: template.Library = template.Library()


@register.simple_tag
def upload_assets(url: str = "") -> SafeString:
    """The browser's side: a stylesheet and one external module. There is no inline script and no
    inline style, so a Content-Security-Policy of ``'self'`` will do, with ``img-src 'self' blob:``
    for the previews.

    ``{% upload_assets %}`` on a djust page; ``{% upload_assets "/ws/gallery/" %}`` on a page of a
    plain consumer, with the path of its WebSocket.
    """
    style = format_html('<link rel="stylesheet" href="{}">', _url("uploads.css"))
    if not url:
        return format_html('{}<script type="module" src="{}"></script>', style, _url("djust.js"))
    return format_html(
        '{}<script type="module" src="{}" data-upload-socket="{}"></script>',
        style,
        _url("channels.js"),
        url,
    )


def _url(name: str) -> str:
    return static(f"djust_uploads/{name}")
