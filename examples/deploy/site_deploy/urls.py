from django.urls import path

from djust_uploads.observability import metrics

from . import views

# nginx answers for the paths /metrics and /ready itself.
urlpatterns = [
    path("", views.files),
    path("ready", views.ready),
    path("metrics", metrics),
]
