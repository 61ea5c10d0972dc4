"""The template tag ``upload_assets``, by ``{% load djust_uploads %}``."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register: template.Library = template.Library()


@register.simple_tag
def upload_assets(url: str = "") -> SafeString:
    """Return the HTML that loads the stylesheet and the JavaScript of the browser side.

    Write ``{% upload_assets %}`` on a djust page. On a page of a plain consumer, write
    ``{% upload_assets "/ws/gallery/" %}``, with the path of the consumer's WebSocket.

    There is no inline script and no inline style. A Content-Security-Policy of ``default-src
    'self'`` suffices, with ``img-src 'self' blob:`` for the previews of images.
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
