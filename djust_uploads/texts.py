"""The sentences of the browser's side, translated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.core.signals import setting_changed
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog

_LOCALE = str(Path(__file__).parent / "locale")


@cache
def catalogue(language: str) -> dict[str, Any]:
    """Return what ``texts/catalogue.js`` needs to speak a language.

    A project overrides a translation in a ``djangojs.po`` of its ``LOCALE_PATHS``.
    """
    view = JavaScriptCatalog()
    translation = DjangoTranslation(language, domain="djangojs", localedirs=[_LOCALE])
    view.translation = translation
    texts = view.get_catalog()
    plurals = "".join(str(translation.plural(number)) for number in range(200)) if texts else ""
    return {"language": language, "texts": texts, "plurals": plurals}


def _reset(*, setting: str, **kwargs: Any) -> None:
    if setting in ("LOCALE_PATHS", "LANGUAGE_CODE"):
        catalogue.cache_clear()


setting_changed.connect(_reset)
