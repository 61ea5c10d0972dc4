from django.contrib import admin

from djust_uploads.forms import UploadAdminMixin

from .models import Attachment, Member


class AttachmentInline(UploadAdminMixin, admin.TabularInline):
    model = Attachment
    extra = 1
    upload_fields = {"file": {"max_file_size": 2_000_000_000}}


@admin.register(Member)
class MemberAdmin(UploadAdminMixin, admin.ModelAdmin):
    inlines = [AttachmentInline]
    upload_fields = {"avatar": {"sink": "temporary", "max_file_size": 5_000_000}}
