import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_deploy.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import path, re_path

from .uploads import FilesConsumer, FilesEndpoint

application = SessionMiddlewareStack(
    ProtocolTypeRouter(
        {
            "http": URLRouter(
                [
                    path("uploads/", FilesEndpoint.as_asgi()),
                    re_path("", django_application),
                ]
            ),
            "websocket": URLRouter([path("ws/files/", FilesConsumer.as_asgi())]),
        }
    )
)
