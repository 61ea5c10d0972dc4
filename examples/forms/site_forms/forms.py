from django import forms
from django.forms import inlineformset_factory

from djust_uploads.forms import UploadField, UploadImageField

from .models import Attachment, Member


class MemberForm(forms.ModelForm):
    avatar = UploadImageField(sink="temporary", max_file_size=5_000_000, required=False)

    class Meta:
        model = Member
        fields = ["name", "avatar"]


class AttachmentForm(forms.ModelForm):
    file = UploadField(max_file_size=2_000_000_000)

    class Meta:
        model = Attachment
        fields = ["file"]


AttachmentFormSet = inlineformset_factory(Member, Attachment, form=AttachmentForm, extra=2)
