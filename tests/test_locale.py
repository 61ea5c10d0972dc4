"""The translations: complete, current, and in the language of the page."""

from __future__ import annotations

import re

import pytest
from django.test import override_settings
from django.utils.translation import override

from djust_uploads import exceptions
from djust_uploads.content.sizes import readable_size
from djust_uploads.texts import catalogue
from djust_uploads.uploads.languages import language_of
from tests.doors.test_mixin import render
from tests.support import messages

PLACES = re.compile(r"\{\w+\}")


def sentences(message):
    """The sentence, or its forms."""
    return message if isinstance(message, tuple) else (message,)


@pytest.mark.parametrize(("language", "domain"), list(messages.catalogues()))
def test_every_sentence_is_translated(language, domain):
    catalog = messages.read(language, domain)
    wanted = {message.id for message in messages.extracted(domain) if message.id}
    assert {message.id for message in catalog if message.id} == wanted, "run 'make messages'"
    for message in catalog:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        assert all(sentences(message.string)), message.id
        places = {place for text in sentences(message.id) for place in PLACES.findall(text)}
        for text in sentences(message.string):
            assert set(PLACES.findall(text)) <= places, text
        # The form for one file need not say how many there are.
        assert set(PLACES.findall(sentences(message.string)[-1])) == places, message.id


@pytest.mark.parametrize(("language", "domain"), list(messages.catalogues()))
def test_the_compiled_catalogue_is_current(language, domain):
    compiled = messages.path_of(language, domain, "mo").read_bytes()
    assert compiled == messages.compiled(messages.read(language, domain)), "run 'make messages'"


def test_every_sentence_of_an_error_is_a_translation():
    errors = [e for e in vars(exceptions).values() if hasattr(e, "code") and e.__module__]
    with override("de"):
        german = {str(error.message) for error in errors}
    with override("en"):
        english = {str(error.message) for error in errors}
    assert not german & english


def test_sizes_are_written_as_the_language_does():
    sizes = (100, 1_234_567, 2_000_000_000)
    assert [str(readable_size(size)) for size in sizes] == ["100 bytes", "1.2 MB", "2 GB"]
    with override("de"):
        assert [str(readable_size(size)) for size in sizes] == ["100 Bytes", "1,2 MB", "2 GB"]


def test_the_browsers_catalogue():
    german = catalogue("de")
    assert german["texts"]["Pause all"] == "Alle anhalten"
    assert german["texts"]["{count} file"] == ["{count} Datei", "{count} Dateien"]
    assert german["plurals"][:4] == "1011"
    assert catalogue("fa")["plurals"][:4] == "0011"
    assert catalogue("en") == {"language": "en", "texts": {}, "plurals": ""}


def test_a_project_has_the_last_word(tmp_path):
    path = tmp_path / "de" / "LC_MESSAGES"
    path.mkdir(parents=True)
    catalog = messages.Catalog(locale="de")
    catalog.add("Pause all", "Alles stoppen")
    (path / "djangojs.mo").write_bytes(messages.compiled(catalog))
    with override_settings(LOCALE_PATHS=[tmp_path]):
        assert catalogue("de")["texts"]["Pause all"] == "Alles stoppen"
        assert catalogue("de")["texts"]["Done"] == "Fertig"
    assert catalogue("de")["texts"]["Pause all"] == "Alle anhalten"


def test_the_page_has_the_sentences_of_its_language():
    with override("fa"):
        html = render("{% load djust_uploads %}{% upload_assets %}")
    assert '"language": "fa"' in html
    assert html.count("</script>") == 2, "and no sentence can end the element"


SCOPE = {"headers": [(b"cookie", b"django_language=de"), (b"accept-language", b"fa,en;q=0.5")]}


def test_the_language_of_a_page():
    assert language_of(SCOPE, "fa") == "fa", "as it says"
    assert language_of(SCOPE, "xx") == "de", "its cookie, if that is no language of the project"
    assert language_of({"headers": SCOPE["headers"][1:]}, None) == "fa", "what its browser accepts"
    assert language_of({"headers": []}, {"de": 1}) == "en-us"
    assert language_of({}) == "en-us"
    with override_settings(LANGUAGES=[("en", "English")]):
        assert language_of(SCOPE, "fa") == "en"
    with override_settings(USE_I18N=False):
        assert language_of(SCOPE, "fa") == "en-us"
