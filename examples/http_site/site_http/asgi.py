import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_http.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.urls import path, re_path

from .uploads import PhotoUploads

application = ProtocolTypeRouter(
    {
        "http": SessionMiddlewareStack(
            URLRouter(
                [
                    path("uploads/", PhotoUploads.as_asgi()),
                    re_path("", ASGIStaticFilesHandler(django_application)),
                ]
            )
        )
    }
)
