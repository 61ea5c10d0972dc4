from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, render

from .forms import AttachmentFormSet, MemberForm
from .models import Member


def members(request):
    found = Member.objects.prefetch_related("attachments")
    return render(request, "members.html", {"members": found})


def member(request, pk=None):
    instance = get_object_or_404(Member, pk=pk) if pk else Member()
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    form = MemberForm(*data, instance=instance)
    attachments = AttachmentFormSet(*data, instance=instance)
    # Both are validated, so that the page shows all errors at once.
    if data and all([form.is_valid(), attachments.is_valid()]):
        with transaction.atomic():
            form.save()
            attachments.save()
        return redirect("members")
    return render(request, "member.html", {"form": form, "attachments": attachments})
