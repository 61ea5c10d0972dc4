from django.conf import settings
from django.urls import path, re_path
from django.views.generic import RedirectView
from django.views.static import serve

from . import views

urlpatterns = [
    path("", RedirectView.as_view(url="/gallery/")),
    path("gallery/", views.gallery),
    path("photos/", views.add_photo),
    re_path(r"^media/(?P<path>.*)$", serve, {"document_root": settings.MEDIA_ROOT}),
]
