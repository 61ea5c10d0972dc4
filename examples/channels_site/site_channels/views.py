from django.shortcuts import render

from .consumers import SINKS


def gallery(request):
    return render(request, "gallery.html", {"sinks": SINKS})


def profile(request):
    return render(request, "profile.html")


def files(request):
    return render(request, "files.html")


def content_security_policy(get_response):
    """As strict as the pages can take: scripts and styles from files of ours, and ``blob:`` images,
    which the previews are."""

    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' blob: data:"
        return response

    return middleware
