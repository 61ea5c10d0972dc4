from __future__ import annotations

import mimetypes

from django.apps import AppConfig, apps
from django.utils.translation import gettext


class DjustUploadsConfig(AppConfig):
    name = "djust_uploads"
    verbose_name: str = "File uploads"

    def ready(self) -> None:
        # Importing this module registers the checks.
        from . import checks  # noqa: F401
        from .lifecycle.notifying import import_observers

        # This reads the system's tables of MIME types. Otherwise the first upload would do so on
        # the event loop. If they were read already, an application may have added types, and a
        # second init() would forget those.
        if not mimetypes.inited:
            mimetypes.init()

        # Reads the catalogues of the default language: not at the first error, on the event loop.
        gettext("The upload failed. Please try again.")

        # These take long too.
        import_observers()

        if apps.is_installed("djust"):
            # Importing this module makes djust's views restore their slots.
            from .doors import liveview  # noqa: F401
