from django.conf import settings
from django.shortcuts import render

from djust_uploads.conf import sinks

from .consumers import LABELS


def gallery(request):
    return render(request, "gallery.html", {"sinks": {alias: LABELS[alias] for alias in sinks}})


def profile(request):
    return render(request, "profile.html")


def files(request):
    # Only who began an upload can resume it. Nobody logs in here, so everybody needs a session.
    if not request.session.session_key:
        request.session.create()
    return render(request, "files.html")


def content_security_policy(get_response):
    """As strict as the pages can take: scripts and styles from files of ours, and ``blob:`` for the
    pictures of files, and for the videos of which they show the first frame."""

    def middleware(request):
        response = get_response(request)
        images = " ".join(["'self'", "blob:", "data:", *settings.IMAGE_SOURCES])
        policy = f"default-src 'self'; img-src {images}; media-src 'self' blob:"
        response["Content-Security-Policy"] = policy
        return response

    return middleware
