from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djust_uploads import MemorySink, UploadMixin, UploadSlot, Validator
from djust_uploads.conf import sinks
from djust_uploads.content.accept import Accept
from djust_uploads.content.names import extension_of, type_of_name
from djust_uploads.exceptions import InvalidSink, InvalidSlot
from djust_uploads.slots.entry import UploadEntry
from djust_uploads.slots.slot import MAX_CHUNK_SIZE
from djust_uploads.testing import RecordingSink
from djust_uploads.wire import Registration

REF = "00112233-4455-6677-8899-aabbccddeeff"


def test_defaults():
    slot = UploadSlot("photos")
    assert {f.name: getattr(slot, f.name) for f in dataclasses.fields(slot)} == {
        "name": "photos",
        "accept": "",
        "max_entries": 1,
        "max_file_size": 10_000_000,
        "chunk_size": 65536,
        "auto_upload": True,
        "sink": None,
        "resumable": False,
        "allow_active_content": False,
        "validators": (),
        "on_complete": None,
        "min_entries": 0,
        "max_total_size": None,
        "image_max_size": None,
        "permission_required": (),
        "quotas": {},
    }


def test_allow_upload_has_the_same_defaults():
    view = UploadMixin()
    assert view.allow_upload("photos") == UploadSlot("photos")


def test_slot_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        UploadSlot("photos").accept = ".exe"


VALID = [
    {"accept": ".jpg"},
    {"accept": ".jpg, .PNG ,image/*,application/vnd.ms-excel,.tar.gz,*/*"},
    {"accept": " , "},
    {"max_entries": 1},
    {"max_entries": 10_000},
    {"max_file_size": 0},
    {"max_file_size": 10**15},
    {"chunk_size": 1},
    {"chunk_size": MAX_CHUNK_SIZE},
    {"sink": "memory"},
    {"sink": MemorySink()},
    {"sink": lambda entry: "memory"},
    {"validators": (Validator(),)},
    {"on_complete": print},
    {"max_entries": 3, "min_entries": 3},
    {"max_total_size": 1},
    {"image_max_size": 2000},
]


@pytest.mark.parametrize("options", VALID, ids=lambda options: ", ".join(options) or "none")
def test_valid(options):
    slot = UploadSlot("photos", **options)
    assert {key: getattr(slot, key) for key in options} == options


INVALID = [
    ({"name": ""}, "name must be a non-empty string. Got: ''"),
    ({"name": None}, "name must be a non-empty string. Got: None"),
    ({"name": 7}, "name must be a non-empty string. Got: 7"),
    ({"accept": None}, "accept must be a string such as '.jpg,.png'. Got: None"),
    ({"accept": [".jpg"]}, "accept must be a string such as '.jpg,.png'. Got: ['.jpg']"),
    ({"accept": "jpg"}, "MIME types ('image/*'). Got: 'jpg'"),
    ({"accept": ".jpg .png"}, "Got: '.jpg .png'"),
    ({"accept": ".jpg/.png"}, "Got: '.jpg/.png'"),
    ({"accept": "."}, "Got: '.'"),
    ({"accept": "image/"}, "Got: 'image/'"),
    ({"accept": "*"}, "Got: '*'"),
    ({"accept": "*.jpg"}, "Got: '*.jpg'"),
    ({"accept": ".jpg,image/png;q=1"}, "Got: 'image/png;q=1'"),
    ({"max_entries": 0}, "max_entries must be an integer, at least 1. Got: 0"),
    ({"max_entries": -1}, "Got: -1"),
    ({"max_entries": "3"}, "Got: '3'"),
    ({"max_entries": 1.0}, "Got: 1.0"),
    ({"max_entries": True}, "Got: True"),
    ({"max_entries": None}, "Got: None"),
    ({"max_file_size": -1}, "max_file_size must be an integer, at least 0. Got: -1"),
    ({"max_file_size": "10 MB"}, "Got: '10 MB'"),
    ({"max_file_size": 1e7}, "Got: 10000000.0"),
    ({"chunk_size": 0}, f"chunk_size must be an integer, from 1 to {MAX_CHUNK_SIZE}. Got: 0"),
    ({"chunk_size": MAX_CHUNK_SIZE + 1}, f"Got: {MAX_CHUNK_SIZE + 1}"),
    ({"chunk_size": None}, "Got: None"),
    ({"sink": 7}, "sink must be an alias, a Sink instance or a callable"),
    ({"sink": MemorySink}, "Got: <class 'djust_uploads.sinks.memory.MemorySink'>"),
    ({"validators": (Validator,)}, "validators must be Validator instances. Got: <class"),
    ({"validators": ("x",)}, "validators must be Validator instances. Got: 'x'"),
    ({"on_complete": "later"}, "on_complete must be callable. Got: 'later'"),
    ({"min_entries": 2}, "min_entries must be an integer, from 0 to 1. Got: 2"),
    ({"min_entries": -1}, "Got: -1"),
    ({"max_total_size": 0}, "max_total_size must be an integer, at least 1. Got: 0"),
    ({"max_total_size": "1 GB"}, "Got: '1 GB'"),
    ({"image_max_size": 1.5}, "image_max_size must be an integer, at least 1. Got: 1.5"),
]


@pytest.mark.parametrize(("options", "message"), INVALID)
def test_invalid_says_what_it_got(options, message):
    with pytest.raises(InvalidSlot) as caught:
        UploadSlot(**{"name": "photos", **options})
    assert message in str(caught.value)
    assert "Got: " in str(caught.value)


def test_unknown_alias_lists_those_there_are():
    with pytest.raises(InvalidSink, match=r"'media'.*Configured: default, memory, slow"):
        UploadSlot("photos", sink="media")


def test_a_mistake_declares_nothing():
    view = UploadMixin()
    with pytest.raises(InvalidSlot):
        view.allow_upload("photos", max_entries=0)
    assert view._upload_manager is None


def test_declaring_again_replaces():
    view = UploadMixin()
    view.allow_upload("photos", max_entries=1)
    view.allow_upload("photos", max_entries=2)
    assert view._upload_manager.roster.slots["photos"].max_entries == 2
    assert [c["max_entries"] for c in view.saved_upload_slots()] == [2]


def entry(name="a.jpg", content_type=""):
    made = UploadEntry(Registration("photos", REF, name, "", 10), 65536)
    made.content_type = content_type
    return made


def test_sink_is_an_alias_an_instance_or_what_a_callable_says():
    sink = RecordingSink()
    assert UploadSlot("a").resolve_sink(entry()) is sinks["default"]
    assert UploadSlot("a", sink="memory").resolve_sink(entry()) is sinks["memory"]
    assert UploadSlot("a", sink=sink).resolve_sink(entry()) is sink
    assert UploadSlot("a", sink=lambda e: sink).resolve_sink(entry()) is sink
    assert UploadSlot("a", sink=lambda e: "memory").resolve_sink(entry()) is sinks["memory"]


def test_callable_sees_the_sniffed_type():
    def by_type(e):
        return "memory" if e.content_type.startswith("image/") else "default"

    slot = UploadSlot("a", sink=by_type)
    assert slot.resolve_sink(entry(content_type="image/png")) is sinks["memory"]
    assert slot.resolve_sink(entry(content_type="text/plain")) is sinks["default"]


def test_alias_from_a_callable_may_be_wrong():
    with pytest.raises(InvalidSink, match="Configured: default"):
        UploadSlot("a", sink=lambda e: "nope").resolve_sink(entry())


def test_client_config():
    assert UploadSlot("a", accept=".jpg", max_entries=2).client_config() == {
        "name": "a",
        "accept": ".jpg",
        "max_entries": 2,
        "max_file_size": 10_000_000,
        "chunk_size": 65536,
        "auto_upload": True,
        "resumable": False,
    }


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.png", ".png"),
        ("a.PNG", ".png"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
        ("", ""),
        (".htaccess", ""),
        ("evil.svg ", ".svg"),
        ("evil.svg. .", ".svg"),
        ("a.", ""),
        ("...", ""),
    ],
)
def test_extension_of(name, extension):
    assert extension_of(name) == extension


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.md", "text/markdown"),
        ("a.js", "text/javascript"),
        ("a.no-such-extension", ""),
        ("a", ""),
    ],
)
def test_type_of_name(name, content_type):
    assert type_of_name(name) == content_type


@given(st.text(max_size=30))
def test_type_of_any_name(name):
    assert isinstance(type_of_name(name), str)
    assert extension_of(name) == extension_of(name.upper()).lower() or not name.isascii()


@pytest.mark.parametrize(
    ("accept", "name", "taken"),
    [
        (".jpg", "a.jpg", True),
        (".jpg", "a.JPG", True),
        (".JPG", "a.jpg", True),
        (".jpg", "a.jpg ", True),
        (".jpg", "a.jpeg", False),
        (".jpg", "jpg", False),
        (".jpg", "a.jpg.exe", False),
        (".tar.gz", "a.tar.gz", True),
        (".tar.gz", "a.gz", False),
        ("image/*", "a.jpg", True),
        ("image/*", "a.pdf", False),
        ("image/*", "a", False),
        ("image/png", "a.png", True),
        ("image/png", "a.gif", False),
        ("image/*,.pdf", "a.pdf", True),
    ],
)
def test_accepted_names(accept, name, taken):
    assert Accept(accept).takes_name(name) is taken


@pytest.mark.parametrize(
    ("accept", "content_type", "taken"),
    [
        ("image/*", "image/png", True),
        ("image/*", "", False),
        ("image/png", "image/png", True),
        ("image/png", "image/gif", False),
        (".png", "image/png", False),
    ],
)
def test_accepted_types(accept, content_type, taken):
    assert Accept(accept).takes_type(content_type) is taken


def test_an_accept_that_refuses_nothing():
    assert not Accept("")
    assert not Accept("*/*")
    assert not Accept(".jpg,*/*")
    assert not Accept(" , ")
    assert Accept(".jpg")
