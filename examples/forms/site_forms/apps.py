from django.apps import AppConfig


class FormsConfig(AppConfig):
    name = "site_forms"

    def ready(self):
        from . import thumbnails  # noqa: F401
