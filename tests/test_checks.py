"""``manage.py check``: what would fail at the first upload is said at start."""

from __future__ import annotations

import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import path, re_path

from djust_uploads import MemorySink, UploadEndpoint, UploadMixin, checks
from djust_uploads.conf import sinks
from djust_uploads.content import sniffing
from djust_uploads.forms import UploadField


@pytest.fixture(autouse=True)
def no_form_has_upload_fields(monkeypatch):
    """Other tests of this process may have declared some. tests/forms tests their checks."""
    monkeypatch.setattr(UploadField, "declared", False)


def found() -> list[str]:
    return [message.id for message in run_checks(tags=["djust_uploads"])]


def configured(**keys):
    return override_settings(DJUST_UPLOADS=keys)


def test_the_tests_settings_are_fine():
    assert found() == []


def test_no_settings_are_fine():
    with override_settings(DJUST_UPLOADS={}):
        assert found() == []


@pytest.mark.parametrize(
    "params",
    [
        {"BACKEND": "no.such.Sink"},
        {},
        {"BACKEND": "djust_uploads.sinks.MemorySink", "OPTIONS": {"x": 1}},
        {"BACKEND": "djust_uploads.sinks.MemorySink", "OPTIONS": [1]},
        "djust_uploads.sinks.MemorySink",
    ],
    ids=str,
)
def test_e001_sink_that_cannot_be_made(params):
    with configured(SINKS={"bad": params}):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E001"
    assert "'bad'" in message.msg


def test_e001_one_message_for_each_sink():
    with configured(SINKS={"a": {"BACKEND": "no.A"}, "b": {"BACKEND": "no.B"}}):
        assert found() == ["djust_uploads.E001"] * 2


@pytest.fixture
def without_libmagic(monkeypatch):
    """An environment in which python-magic does not find the library."""
    sniffing._magic.cache_clear()
    monkeypatch.setitem(sys.modules, "magic", None)
    yield
    sniffing._magic.cache_clear()


def test_e002_libmagic_is_missing(without_libmagic):
    [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E002"
    assert "apt install libmagic1" in message.hint


@pytest.mark.parametrize(
    "value", [None, [], "SINKS", {"SINKS": []}, {"SINKS": None}, {"SINKS": "default"}], ids=str
)
def test_e003_not_dictionaries(value):
    with override_settings(DJUST_UPLOADS=value):
        assert found() == ["djust_uploads.E003"]


def test_e003_unknown_key_lists_the_known_ones():
    with configured(SINK={}):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E003"
    assert "'SINK'" in message.msg
    assert "SINKS" in message.hint


@pytest.mark.parametrize("key", ["MAX_BUFFERED_BYTES", "SINK_TIMEOUT"])
@pytest.mark.parametrize("value", [0, -1, "60", None, True])
def test_e003_number_that_cannot_be(key, value):
    with configured(**{key: value}):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E003"
    assert f"Got: {value!r}" in message.msg


def test_e005_directory_is_missing(tmp_path):
    with configured(
        SINKS={
            "files": {
                "BACKEND": "djust_uploads.sinks.TemporaryFileSink",
                "OPTIONS": {"directory": str(tmp_path / "missing")},
            }
        }
    ):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E005"
    assert "missing" in message.msg


def test_e005_temp_directory_is_missing(tmp_path):
    with override_settings(FILE_UPLOAD_TEMP_DIR=str(tmp_path / "missing")):
        assert found() == ["djust_uploads.E005"]


class Inner:
    """An ASGI application as Channels' ``as_asgi()`` makes it."""

    def __init__(self, consumer_class):
        self.consumer_class = consumer_class


def test_consumers_are_found_through_routers_and_middleware():
    from channels.auth import AuthMiddlewareStack
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator
    from django.urls import path

    from djust_uploads import UploadConsumer

    class Consumer(UploadConsumer):
        pass

    routes = URLRouter([path("a/", URLRouter([path("b/", Consumer.as_asgi())]))])
    application = ProtocolTypeRouter(
        {"websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(routes))}
    )
    assert list(checks._consumers(application)) == [Consumer]
    assert list(checks._consumers(Inner(MemorySink))) == [MemorySink]
    assert list(checks._consumers(object())) == []


def test_checks_leave_no_sink_of_overridden_settings():
    with configured(SINKS={"mine": {"BACKEND": "djust_uploads.sinks.MemorySink"}}):
        assert found() == []
    assert "mine" not in sinks


DUMMY = "django.core.cache.backends.dummy.DummyCache"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
DATABASE = "django.core.cache.backends.db.DatabaseCache"


def caches_of(backend):
    return override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": "uploads"}})


@pytest.mark.parametrize(
    ("backend", "alias"), [(DUMMY, "default"), (LOCAL, "nowhere"), ("no.such.Cache", "default")]
)
def test_e008_resume_cache_that_remembers_nothing(backend, alias):
    with caches_of(backend), configured(RESUME_CACHE=alias):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E008"
    assert repr(alias) in message.msg


def test_cache_that_nobody_chose_is_no_error():
    with caches_of(DUMMY):
        assert found() == []


@pytest.mark.parametrize(
    ("backend", "ids"), [(LOCAL, ["W009"]), (FILES, ["W009"]), (DATABASE, []), (DUMMY, [])]
)
def test_w009_resume_cache_for_one_process(backend, ids):
    with caches_of(backend):
        messages = checks.check_resume_cache_shared()
    assert [message.id for message in messages] == [f"djust_uploads.{id}" for id in ids]


@pytest.mark.parametrize(
    ("backend", "quotas", "ids"),
    [(LOCAL, {}, ["W014"]), (DUMMY, {}, ["W014"]), (DATABASE, {}, []), (LOCAL, None, [])],
)
def test_w014_quota_cache_for_one_process(backend, quotas, ids):
    with caches_of(backend), configured(QUOTAS=quotas):
        messages = checks.check_quota_cache_shared()
    assert [message.id for message in messages] == [f"djust_uploads.{id}" for id in ids]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("QUOTAS", {"users": {}}),
        ("QUOTAS", {"user": {"UPLOADS": "many"}}),
        ("QUOTA_CACHE", "nowhere"),
        ("TRUSTED_PROXIES", -1),
        ("TRUSTED_PROXIES", "1"),
        ("CLIENT_ADDRESS_HEADER", None),
        ("SESSION_INTERVAL", 0),
    ],
)
def test_e003_wrong_quotas_and_sessions(key, value):
    with configured(**{key: value}):
        [message] = run_checks(tags=["djust_uploads"])
    assert message.id == "djust_uploads.E003"
    assert key in message.msg


def routing(*routes):
    """An ASGI application with these routes for HTTP."""
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.sessions import SessionMiddlewareStack

    return ProtocolTypeRouter({"http": SessionMiddlewareStack(URLRouter(routes))})


@pytest.fixture
def asgi(monkeypatch):
    """Set ``ASGI_APPLICATION`` to an application."""

    def set_application(application):
        monkeypatch.setattr("tests.settings.application", application, raising=False)

    with override_settings(ASGI_APPLICATION="tests.settings.application"):
        yield set_application


async def _other(scope, receive, send):
    raise AssertionError("not called")


class _Endpoint(UploadMixin, UploadEndpoint):
    pass


def test_an_endpoint_before_everything_else_is_fine(asgi):
    asgi(routing(path("uploads/", _Endpoint.as_asgi()), re_path("", _other)))
    assert found() == []


@pytest.mark.parametrize("pattern", ["", "^", "^.*$"])
def test_an_endpoint_that_no_request_reaches(asgi, pattern):
    asgi(routing(re_path(pattern, _other), path("uploads/", _Endpoint.as_asgi())))
    assert found() == ["djust_uploads.W011"]


def test_an_endpoint_without_the_mixin(asgi):
    asgi(routing(path("uploads/", UploadEndpoint.as_asgi())))
    assert found() == ["djust_uploads.E010"]


@pytest.mark.parametrize(
    ("origins", "ids"),
    [
        (["https://app.example.com", "http://localhost:3000", "*"], []),
        ("https://app.example.com", ["djust_uploads.E003"]),
        (["app.example.com"], ["djust_uploads.E003"]),
        (["https://app.example.com/"], ["djust_uploads.E003"]),
        ([1], ["djust_uploads.E003"]),
    ],
)
def test_cors_origins(origins, ids):
    with configured(CORS_ORIGINS=origins):
        assert found() == ids
