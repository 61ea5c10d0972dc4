"""The examples of docs/headless.md, as its readers would copy them, and their consumer."""

import json
import os
import re
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).parent.parent.parent

settings.configure(
    SECRET_KEY="only for tests",
    DEBUG=True,
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.staticfiles", "djust_uploads"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    ROOT_URLCONF=__name__,
    STATIC_URL="/static/",
    MEDIA_ROOT=os.environ["UPLOAD_DIRECTORY"],
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
    DJUST_UPLOADS=json.loads(os.environ.get("UPLOAD_SETTINGS", "{}")),
)

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.http import HttpResponse
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

PAGE = (ROOT / "docs" / "headless.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


exec("\n".join(blocks("python")))
EXAMPLES = dict(zip(("plain", "htmx", "react"), blocks("html"), strict=True))

WORKER = """
import { Uploader } from "/static/djust_uploads/uploader.js";
onmessage = async ({ data }) => {
  const uploader = new Uploader("/ws/gallery/");
  uploader.add("photos", [data]);
  uploader.addEventListener("push", ({ detail }) => postMessage(detail.payload));
  if (await uploader.settle("photos")) await uploader.send("save");
};
"""


def example(request, name):
    body = engines["django"].from_string(EXAMPLES[name]).render()
    return HttpResponse(f'<!doctype html><link rel="icon" href="data:,">{body}')


def worker(request):
    return HttpResponse(WORKER, content_type="text/javascript")


@csrf_exempt
def titles(request):
    return HttpResponse(f"Saved: {request.POST['title']}")


urlpatterns = [path("worker.js", worker), path("titles/", titles), path("<name>/", example)]

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": URLRouter([path("ws/gallery/", GalleryConsumer.as_asgi())]),  # noqa: F821
    }
)
