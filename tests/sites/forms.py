"""``tests.forms.site`` as a server has it, with CSRF protection, the admin, and users.

``admin`` / ``admin`` may do everything.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.forms_settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib import admin
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

from djust_uploads.forms import FormUploads, UploadAdminMixin
from tests.forms import site
from tests.models import Attachment, Document, Picture


class AttachmentInline(UploadAdminMixin, admin.TabularInline):
    model = Attachment
    extra = 1


@admin.register(Document)
class DocumentAdmin(UploadAdminMixin, admin.ModelAdmin):
    upload_fields = {"file": {"max_file_size": 2_000_000_000}}
    inlines = [AttachmentInline]


@admin.register(Picture)
class PictureAdmin(UploadAdminMixin, admin.ModelAdmin):
    fields = ["image"]


class StockInline(admin.TabularInline):
    model = Attachment
    extra = 1


class StockAdmin(admin.ModelAdmin):
    inlines = [StockInline]


#: Django's own, to compare ours with.
stock = admin.AdminSite("stock")
stock.register(Document, StockAdmin)

urlpatterns = [
    *site.urlpatterns,
    path("admin/", admin.site.urls),
    path("stock-admin/", stock.urls),
]


def prepare():
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    if not User.objects.exists():
        User.objects.create_superuser("admin", password="admin")


prepare()
application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [
                path("uploads/", FormUploads.as_asgi()),
                re_path("", ASGIStaticFilesHandler(get_asgi_application())),
            ]
        )
    }
)
