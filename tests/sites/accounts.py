"""A site with users, by every door, in several processes that share a database.

The slot ``"films"`` needs a permission, and ``"judged"`` a group. Views log in and out, and give
and take both.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.accounts_settings")

import django

django.setup()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django import forms
from django.contrib.auth import login, logout
from django.contrib.auth.models import Group, Permission, User
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.urls import path, re_path

from djust_uploads import UploadConsumer, UploadEndpoint, UploadMixin, event_handler, receipts
from djust_uploads.exceptions import UploadError
from djust_uploads.forms import FormUploads, UploadField

PERMISSION = "auth.add_group"
#: What the slots of single quotas, such as ``"user_uploads"``, have room for.
ROOM, SIZE = 3, 1000
AMOUNTS = {"UPLOADS": ROOM, "BYTES_PER_DAY": ROOM * SIZE + 1, "REGISTRATIONS_PER_MINUTE": ROOM}
SINGLE_QUOTAS = {
    f"{kind}_{limit.lower()}": {kind: {limit: amount}}
    for kind in ("user", "session", "address", "slot")
    for limit, amount in AMOUNTS.items()
}
QUOTA = {"UPLOADS": 3, "BYTES_PER_DAY": 10_000_000, "REGISTRATIONS_PER_MINUTE": 1000}


def allow_uploads(self):
    options = {"max_entries": 5, "max_file_size": 100_000_000, "resumable": True}
    self.allow_upload("films", permission_required=PERMISSION, **options)
    self.allow_upload("judged", **options)
    self.allow_upload("open", **options)
    self.allow_upload("few", quotas={"user": QUOTA}, **options)
    for name, quotas in SINGLE_QUOTAS.items():
        self.allow_upload(name, quotas=quotas, **options)
    self.allow_upload("passing", **{**options, "resumable": False})


def in_group(entry, user):
    return user.groups.filter(name="uploaders").exists()


class FilmsConsumer(UploadMixin, UploadConsumer):
    def mount(self):
        allow_uploads(self)

    async def authorize_upload(self, entry):
        user = self.scope["user"]
        return entry.upload_name != "judged" or await user.groups.filter(name="uploaders").aexists()

    @event_handler
    def report(self, slot, **params):
        for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", {"ref": entry.ref, "size": entry.file.size})

    @event_handler
    async def areport(self, slot, **params):
        async for entry in self.consume_uploaded_entries(slot):
            self.push_event("consumed", {"ref": entry.ref, "size": entry.file.size})

    @event_handler
    def receipt(self, slot, **params):
        for entry in self.get_uploads(slot):
            owner = f"user:{self.scope['user'].pk}"
            self.push_event("receipt", {"receipt": receipts.issue(entry, owner)})


class FilmsEndpoint(UploadMixin, UploadEndpoint):
    def mount(self):
        allow_uploads(self)

    def authorize_upload(self, entry):
        return entry.upload_name != "judged" or in_group(entry, self.scope["user"])


class FilmForm(forms.Form):
    film = UploadField(permission_required=PERMISSION, authorize_upload=in_group)


class SmallForm(forms.Form):
    film = UploadField(quotas={"user": {"BYTES_PER_DAY": 1000}})


def show_form(request, form_class=FilmForm):
    form = form_class(request.POST or None, request.FILES or None)
    if form.is_valid():
        return JsonResponse({"size": form.cleaned_data["film"].size})
    if form.is_bound:
        return JsonResponse(form.errors.get_json_data(), status=400)
    return HttpResponse(form.as_p())


def consume(request):
    try:
        entry = receipts.consume_sync(request.GET["receipt"], request)
    except UploadError as error:
        return JsonResponse({"code": error.code, "error": error.message}, status=400)
    return JsonResponse({"size": entry.file.size})


def begin_session(request):
    """Begin a session of somebody who does not log in."""
    request.session["began"] = True
    request.session.save()
    return HttpResponse(request.session.session_key)


def log_in(request, name):
    login(request, User.objects.get(username=name))
    return HttpResponse(request.session.session_key)


def log_out(request):
    logout(request)
    return HttpResponse("")


def let(request, name, may):
    """Give a user the permission and the group, or take both away."""
    user = User.objects.get(username=name)
    user.user_permissions.set(Permission.objects.filter(codename="add_group") if may else [])
    user.groups.set(Group.objects.all() if may else [])
    return HttpResponse("")


urlpatterns = [
    path("login/<name>/", log_in),
    path("session/", begin_session),
    path("logout/", log_out),
    path("let/<name>/<int:may>/", let),
    path("form/", show_form),
    path("small-form/", show_form, {"form_class": SmallForm}),
    path("consume/", consume),
]

call_command("migrate", verbosity=0)
Group.objects.get_or_create(name="uploaders")
for name in ("alice", "bob"):
    User.objects.get_or_create(username=name)

application = ProtocolTypeRouter(
    {
        "http": AuthMiddlewareStack(
            URLRouter(
                [
                    path("uploads/", FilmsEndpoint.as_asgi()),
                    path("form-uploads/", FormUploads.as_asgi()),
                    re_path("", get_asgi_application()),
                ]
            )
        ),
        "websocket": AuthMiddlewareStack(URLRouter([path("ws/", FilmsConsumer.as_asgi())])),
    }
)
