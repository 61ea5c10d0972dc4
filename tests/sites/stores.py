"""A page with an input for each sink of ``SINKS`` (JSON in the environment), whatever it takes."""

import json
import os

from django.conf import settings

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.staticfiles", "djust_uploads"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    ROOT_URLCONF="tests.sites.stores",
    STATIC_URL="/static/",
    DJUST_UPLOADS={"SINKS": json.loads(os.environ["SINKS"]), "SHA256": True},
    FILE_UPLOAD_TEMP_DIR=os.environ["UPLOAD_DIRECTORY"],
    USE_TZ=True,
)

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.http import HttpResponse
from django.template import Context, Template
from django.urls import path

from djust_uploads import UploadConsumer, UploadMixin, event_handler
from djust_uploads.conf import sinks
from tests.sites.plain import describe

PAGE = """{% load djust_uploads %}<!DOCTYPE html><link rel="icon" href="data:,">
<title>stores</title>{% upload_assets "/ws/" %}
{% for sink in sinks %}
<input type="file" dj-upload="{{ sink }}"><div dj-upload-progress="{{ sink }}"></div>
{% endfor %}"""


def page(request):
    return HttpResponse(Template(PAGE).render(Context({"sinks": list(sinks)})))


class StoresConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        for alias in sinks:
            self.allow_upload(alias, max_entries=20, max_file_size=1_000_000_000, sink=alias)

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            where = {"key": entry.file.metadata.get("key"), "url": entry.file.url}
            self.push_event("consumed", describe(entry) | where)


urlpatterns = [path("", page)]
application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(django_application),
        "websocket": URLRouter([path("ws/", StoresConsumer.as_asgi())]),
    }
)
