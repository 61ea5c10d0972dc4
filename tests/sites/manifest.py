"""The plain Channels example as in production: collected static files under hashed names."""

import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.manifest_settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.management import call_command
from django.urls import path, re_path
from django.views.static import serve
from site_channels.consumers import GalleryConsumer
from site_channels.urls import urlpatterns as example_urls

urlpatterns = [
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": settings.STATIC_ROOT}),
    *example_urls,
]

if not Path(settings.STATIC_ROOT).exists():
    call_command("collectstatic", interactive=False, verbosity=0)

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter([path("ws/gallery/", GalleryConsumer.as_asgi())]),
    }
)
