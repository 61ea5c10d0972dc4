from django.conf import settings
from django.shortcuts import render

from djust_uploads.conf import sinks

from .consumers import LABELS


def gallery(request):
    return render(request, "gallery.html", {"sinks": {alias: LABELS[alias] for alias in sinks}})


def profile(request):
    return render(request, "profile.html")


def files(request):
    # Only the same user or session can resume an upload. Nobody logs in here, so each visitor gets
    # a session.
    if not request.session.session_key:
        request.session.create()
    return render(request, "files.html")


def content_security_policy(get_response):
    """Allow scripts and styles from our own files only, and ``blob:`` for the files' pictures."""

    def middleware(request):
        response = get_response(request)
        images = " ".join(["'self'", "blob:", "data:", *settings.IMAGE_SOURCES])
        policy = f"default-src 'self'; img-src {images}; media-src 'self' blob:"
        response["Content-Security-Policy"] = policy
        return response

    return middleware
