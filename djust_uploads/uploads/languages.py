"""In which language a page is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.http import parse_cookie
from django.utils.translation import get_supported_language_variant, gettext, override
from django.utils.translation.trans_real import parse_accept_lang_header

from ..flow.threads import in_thread

#: The languages whose catalogues are in memory.
_loaded: set[str] = set()


async def load_catalogue(language: str) -> None:
    """Read the catalogues of a language, in a thread. Translating does not block after that."""
    if language not in _loaded:
        await in_thread(_translate_something, language)
        _loaded.add(language)


def _translate_something(language: str) -> None:
    with override(language):
        gettext("The upload failed. Please try again.")


def language_of(scope: Mapping[str, Any], said: object = None) -> str:
    """Return the language of ``settings.LANGUAGES`` in which a page is.

    It is the first of these that the project supports: what the page ``said``, the cookie by which
    ``LocaleMiddleware`` remembers a choice, what the browser accepts, and ``LANGUAGE_CODE``. The
    page knows best, because its language may come from its URL. ``scope`` is the ASGI scope.
    """
    if settings.USE_I18N:
        for language in _wanted(scope, said):
            try:
                return get_supported_language_variant(language)
            except LookupError:
                continue
    return settings.LANGUAGE_CODE


def _wanted(scope: Mapping[str, Any], said: object) -> Iterator[str]:
    headers = {name: value.decode("latin-1") for name, value in scope.get("headers", ())}
    if isinstance(said, str):
        yield said
    yield parse_cookie(headers.get(b"cookie", "")).get(settings.LANGUAGE_COOKIE_NAME, "")
    for language, _quality in parse_accept_lang_header(headers.get(b"accept-language", "")):
        yield language
