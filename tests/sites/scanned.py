"""A site whose uploads are scanned by the clamd at ``CLAMD``, by every door.

Each sink of ``SINKS`` has a slot of its alias, for sockets at ``/ws/`` and for HTTP at
``/uploads/``, and a form that is posted to ``/form/ALIAS/``.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.resume_settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django import forms
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from djust_uploads import UploadConsumer, UploadEndpoint, UploadMixin
from djust_uploads.conf import sinks
from djust_uploads.forms import UploadField
from djust_uploads.validators import ClamAVValidator

VALIDATORS = [ClamAVValidator(os.environ["CLAMD"])]

#: EICAR comes in three chunks.
CHUNK_SIZE = 24


class Files(UploadMixin):
    def mount(self):
        for alias in sinks:
            self.allow_upload(alias, sink=alias, validators=VALIDATORS, chunk_size=CHUNK_SIZE)


class FilesConsumer(Files, UploadConsumer):
    pass


class FilesEndpoint(Files, UploadEndpoint):
    pass


@csrf_exempt
def form(request, alias):
    class FileForm(forms.Form):
        file = UploadField(sink=alias, validators=VALIDATORS)

    posted = FileForm(request.POST, request.FILES)
    return JsonResponse({"valid": posted.is_valid(), "errors": posted.errors.get("file", [])})


urlpatterns = [path("form/<alias>/", form)]

settings.MIDDLEWARE = [*settings.MIDDLEWARE, "djust_uploads.forms.UploadMiddleware"]

application = SessionMiddlewareStack(
    ProtocolTypeRouter(
        {
            "http": URLRouter(
                [
                    path("uploads/", FilesEndpoint.as_asgi()),
                    re_path("", get_asgi_application()),
                ]
            ),
            "websocket": URLRouter([path("ws/", FilesConsumer.as_asgi())]),
        }
    )
)
