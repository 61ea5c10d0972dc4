from __future__ import annotations

from django.apps import AppConfig, apps


class DjustUploadsConfig(AppConfig):
    name = "djust_uploads"
    verbose_name = "File uploads"

    def ready(self) -> None:
        from . import checks  # noqa: F401 (registers them)

        if apps.is_installed("djust"):
            from . import liveview  # noqa: F401 (makes views restore their slots)
