"""A Django site that takes multipart POSTs, as WSGI and as ASGI."""

from __future__ import annotations

import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    # Like ours, every file goes to the disk.
    FILE_UPLOAD_HANDLERS=["django.core.files.uploadhandler.TemporaryFileUploadHandler"],
    USE_TZ=True,
)

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from benchmarks.sites import pages

wsgi = get_wsgi_application()
asgi = get_asgi_application()


@csrf_exempt
def post(request):
    """Take the file, which Django has written to the disk, and drop it."""
    return HttpResponse(str(request.FILES["file"].size))


def show(request, name):
    return HttpResponse(pages.page(name))


urlpatterns = [
    path("post/", post),
    path("<name>/", show),
    re_path("^(?:pages|peers)/", pages.send_asset),
]
