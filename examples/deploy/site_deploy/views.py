from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import render


def files(request):
    # Only the same user or session can resume an upload. Nobody logs in here, so each visitor gets
    # a session.
    if not request.session.session_key:
        request.session.create()
    return render(request, "files.html")


def ready(request):
    """Answer 204 when this worker can take uploads: when it has started, and reaches Redis."""
    cache.get("ready")
    return HttpResponse(status=204)
