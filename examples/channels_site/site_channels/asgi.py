import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_channels.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.urls import path

from .consumers import FilesConsumer, GalleryConsumer, ProfileConsumer

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": SessionMiddlewareStack(
            URLRouter(
                [
                    path("ws/gallery/", GalleryConsumer.as_asgi()),
                    path("ws/profile/", ProfileConsumer.as_asgi()),
                    path("ws/files/", FilesConsumer.as_asgi()),
                ]
            )
        ),
    }
)
