"""``UploadMixin`` on a view of any kind: saved slots, the template's context, turns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.template import Context, Engine

import djust_uploads
from djust_uploads import MemorySink, UploadMixin, Validator, event_handler
from djust_uploads.exceptions import InvalidSlot
from djust_uploads.modules import imported_by

ENGINE = Engine(libraries={"djust_uploads": "djust_uploads.templatetags.djust_uploads"})


def render(template, context=None):
    return ENGINE.from_string(template).render(Context(context))


class View:
    def get_context_data(self, **kwargs):
        return {"title": "Gallery", **kwargs}


class Before(UploadMixin, View):
    pass


class After(View, UploadMixin):
    pass


@pytest.mark.parametrize("cls", [Before, After])
def test_uploads_are_in_the_templates_context(cls):
    view = cls()
    assert view.get_context_data(a=1) == {"title": "Gallery", "a": 1}
    view.allow_upload("photos", accept=".jpg")
    context = view.get_context_data()
    assert context["uploads"]["photos"]["entries"] == []
    text = render("{{ title }}: {{ uploads.photos.config.accept }}", context)
    assert text == "Gallery: .jpg"


def test_view_without_slots_costs_nothing():
    view = Before()
    assert view._upload_manager is None
    assert view.get_uploads("photos") == []
    assert list(view.consume_uploaded_entries("photos")) == []
    view.cancel_upload("photos", "x")
    view._cleanup_uploads()
    with view.uploads_turn():
        pass


def test_slots_survive_a_restore():
    view = Before()
    view.allow_upload("photos", accept=".jpg", max_entries=3, max_file_size=5, chunk_size=7)
    view.allow_upload("notes", sink="memory", auto_upload=False, allow_active_content=True)
    saved = json.loads(json.dumps(view.saved_upload_slots()))
    restored = Before()
    restored.restore_upload_slots(saved)
    assert restored._upload_manager.roster.slots == view._upload_manager.roster.slots


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ({"sink": MemorySink()}, "sink"),
        ({"sink": lambda entry: "memory"}, "sink"),
        ({"validators": [Validator()]}, "validators"),
        ({"on_complete": print}, "on_complete"),
    ],
    ids=["instance", "callable", "validators", "on_complete"],
)
def test_slot_that_cannot_be_saved_is_not_restored_without_its_options(options, lost, caplog):
    view, restored = Before(), Before()
    view.allow_upload("photos", **options)
    view.allow_upload("notes")
    restored.restore_upload_slots(json.loads(json.dumps(view.saved_upload_slots())))
    assert list(restored._upload_manager.roster.slots) == ["notes"]
    assert f"its {lost} can't be saved" in caplog.text


def test_slot_that_can_no_longer_be_is_left_out(caplog):
    restored = Before()
    restored.restore_upload_slots([{"name": "photos", "sink": "gone"}, {"name": "notes"}])
    assert list(restored._upload_manager.roster.slots) == ["notes"]
    assert "'photos' can't be restored" in caplog.text


def test_sink_and_writer_exclude_each_other():
    with pytest.raises(InvalidSlot, match="exclude each other"):
        Before().allow_upload("photos", sink="memory", writer=object)


def test_handlers_keep_their_names_and_their_results():
    class Page(UploadMixin):
        @event_handler
        def save(self, title):
            """Saves."""
            return title

        @event_handler()
        async def asave(self):
            """Saves later."""

    assert (Page.save.__name__, Page.save.__doc__) == ("save", "Saves.")
    assert Page.asave.__doc__ == "Saves later."
    assert Page().save("x") == "x"


def test_stop_iteration_of_a_handler_is_an_error_that_a_future_can_carry():
    class Page(UploadMixin):
        @event_handler
        def first(self):
            next(iter(()))

    with pytest.raises(RuntimeError, match="first raised StopIteration"):
        Page().first()


STYLE = '<link rel="stylesheet" href="/static/djust_uploads/uploads.css">'
TEXTS = (
    '<script id="djust-upload-texts" type="application/json">'
    '{"language": "en-us", "texts": {}, "plurals": ""}</script>'
)


@pytest.mark.parametrize(
    ("tag", "html"),
    [
        (
            "{% upload_assets %}",
            '<script type="module" src="/static/djust_uploads/djust.js"></script>',
        ),
        (
            "{% upload_assets url %}",
            '<script type="module" src="/static/djust_uploads/channels.js" '
            'data-upload-socket="/ws/?a=1&amp;b=&quot;"></script>',
        ),
    ],
)
def test_upload_assets(tag, html):
    rendered = render("{% load djust_uploads %}" + tag, {"url": '/ws/?a=1&b="'})
    preloads = re.findall('<link rel="modulepreload" href="([^"]+)">', rendered)
    assert re.sub('<link rel="modulepreload"[^>]+>', "", rendered) == STYLE + TEXTS + html
    assert "/static/djust_uploads/uploads/uploads.js" in preloads
    assert "/static/djust_uploads/wire/frames.js" in preloads, "what others import, too"
    assert len(preloads) == len(set(preloads))


def test_preloads_are_what_the_modules_import():
    """By the import statements of every module, in whatever form they are written."""
    root = Path(djust_uploads.__file__).parent / "static" / "djust_uploads"
    reached, waiting = set(), ["channels.js"]
    while waiting:
        module = root / waiting.pop()
        for path in re.findall(r'from "(\.[^"]+)"', module.read_text()):
            imported = str((module.parent / path).resolve().relative_to(root))
            if imported not in reached:
                reached.add(imported)
                waiting.append(imported)
    assert set(imported_by("channels.js")) == reached
