import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_forms.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.urls import path, re_path

from djust_uploads.forms import FormUploads

application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [
                path("uploads/", FormUploads.as_asgi()),
                re_path("", ASGIStaticFilesHandler(django_application)),
            ]
        )
    }
)
