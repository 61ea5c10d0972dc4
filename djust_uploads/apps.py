from __future__ import annotations

import mimetypes

from django.apps import AppConfig, apps
from django.utils.translation import gettext


class DjustUploadsConfig(AppConfig):
    name = "djust_uploads"
    verbose_name: str = "File uploads"

    def ready(self) -> None:
        from . import checks  # noqa: F401 (registers them)

        # Reads the system's tables: not at the first upload, on the event loop. A second init()
        # would forget what an application added.
        if not mimetypes.inited:
            mimetypes.init()

        # Reads the catalogues of the default language: not at the first error, on the event loop.
        gettext("The upload failed. Please try again.")

        if apps.is_installed("djust"):
            from .doors import liveview  # noqa: F401 (makes views restore their slots)
