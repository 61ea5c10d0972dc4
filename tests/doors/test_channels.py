"""The plain Channels host, in process: mounting, origins, events, and what a page may call."""

from __future__ import annotations

import threading

import pytest
from channels.testing import WebsocketCommunicator
from django.test import override_settings

from djust_uploads import UploadConsumer, UploadMixin, event_handler
from djust_uploads.doors.channels import FORBIDDEN


class Base(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("photos", accept="image/*", max_entries=2)

    @event_handler
    def inherited(self, **params):
        self.push_event("inherited", params)

    def unmarked(self, **params):
        raise AssertionError


class Page(Base):
    @event_handler
    def save(self, title, count="1", **params):
        self.push_event("saved", {"title": title, "count": count})
        self.push_event("thread", {"main": threading.current_thread() is threading.main_thread()})

    @event_handler()
    async def asave(self, title):
        self.push_event("saved", {"title": title})

    @event_handler
    def fail(self):
        self.push_event("before", {})
        raise RuntimeError("secret")


class Connected:
    """A page, connected and mounted."""

    def __init__(self, consumer, **headers):
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.socket = WebsocketCommunicator(consumer.as_asgi(), "/ws/", headers=pairs)

    async def __aenter__(self):
        self.accepted, self.code = await self.socket.connect()
        return self

    async def __aexit__(self, *exc_info):
        await self.socket.disconnect()

    async def event(self, name, **message):
        """The events that the handler pushed, and the answer."""
        await self.socket.send_json_to({"type": "event", "event": name, "ref": 1, **message})
        pushed = []
        while (message := await self.socket.receive_json_from())["type"] == "push_event":
            pushed.append((message["event"], message["payload"]))
        assert message["ref"] == 1
        return pushed, message["type"]


async def test_mount_message_tells_the_slots():
    async with Connected(Page) as page:
        message = await page.socket.receive_json_from()
    assert message["type"] == "mount"
    assert message["upload_configs"]["photos"]["accept"] == "image/*"


@pytest.fixture
async def page():
    async with Connected(Page) as connected:
        await connected.socket.receive_json_from()
        yield connected


async def test_events_arrive_in_order_before_the_answer(page):
    assert await page.event("save", params={"title": "x"}) == (
        [("saved", {"title": "x", "count": "1"}), ("thread", {"main": False})],
        "noop",
    )


async def test_async_handler(page):
    assert await page.event("asave", params={"title": "x"}) == ([("saved", {"title": "x"})], "noop")


async def test_handler_of_a_base_class(page):
    params = {"function": "a field of the form"}
    assert await page.event("inherited", params=params) == ([("inherited", params)], "noop")


async def test_handler_that_raises(page, caplog):
    pushed, answer = await page.event("fail")
    assert (pushed, answer) == ([("before", {})], "error")
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        {"name": "unmarked"},
        {"name": "mount"},
        {"name": "disconnect"},
        {"name": "__init__"},
        {"name": "no such handler"},
        {"name": "save"},
        {"name": "save", "params": {"count": "2"}},
        {"name": "asave", "params": {"title": "x", "extra": "y"}},
        {"name": "save", "params": ["x"]},
    ],
    ids=str,
)
async def test_what_a_page_may_not_call(page, message):
    assert await page.event(**message) == ([], "error")
    assert (await page.event("save", params={"title": "x"}))[1] == "noop"


async def test_ping(page):
    await page.socket.send_json_to({"type": "ping"})
    assert await page.socket.receive_json_from() == {"type": "pong"}


async def test_page_that_asks_for_the_slots_and_goes():
    """Nobody hears the answer, and the server hears of no exception."""
    arrives = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": '{"type": "upload_configs"}'},
        {"type": "websocket.disconnect", "code": 1006},
    ]

    async def receive():
        return arrives.pop(0)

    async def send(message):
        if len(arrives) < 2:
            raise OSError("the page has gone")

    await Page.as_asgi()({"type": "websocket", "headers": []}, receive, send)
    assert arrives == []


class AsyncMount(UploadMixin, UploadConsumer):
    async def mount(self):
        self.allow_upload("photos")
        self.push_event("mounted", {})


async def test_mount_may_be_async_and_push():
    async with Connected(AsyncMount) as page:
        assert (await page.socket.receive_json_from())["type"] == "mount"
        assert (await page.socket.receive_json_from())["event"] == "mounted"


class BrokenMount(UploadMixin, UploadConsumer):
    def mount(self):
        self.allow_upload("photos", accept="nonsense")


async def test_mount_that_raises_closes(caplog):
    async with Connected(BrokenMount) as page:
        assert (await page.socket.receive_json_from())["type"] == "error"
        assert (await page.socket.receive_output())["code"] == 1011
    assert "Got: 'nonsense'" in caplog.text


class RefusingMount(Base):
    def mount(self):
        super().mount()
        raise PermissionError


async def test_page_that_mount_refuses_is_not_heard():
    """A client can have sent something before it hears that the socket is closed."""
    ref = "00112233-4455-6677-8899-aabbccddeeff"
    registration = {"type": "upload_register", "upload_name": "photos", "ref": ref}
    async with Connected(RefusingMount) as page:
        await page.socket.send_json_to({"type": "event", "event": "inherited"})
        await page.socket.send_json_to({**registration, "client_name": "a.png", "client_size": 5})
        await page.socket.send_to(bytes_data=b"\x02" + bytes(16))
        assert (await page.socket.receive_json_from())["type"] == "error"
        assert (await page.socket.receive_output())["code"] == 1011
        assert await page.socket.receive_nothing()


class NoSlots(UploadConsumer):
    """Not combined with the mixin."""


@pytest.mark.parametrize("consumer", [NoSlots, type("Empty", (UploadMixin, UploadConsumer), {})])
async def test_page_without_slots_refuses_uploads(consumer):
    ref = "00112233-4455-6677-8899-aabbccddeeff"
    async with Connected(consumer) as page:
        assert (await page.socket.receive_json_from())["upload_configs"] == {}
        await page.socket.send_json_to({"type": "upload_register", "ref": ref, "client_size": 1})
        assert (await page.socket.receive_json_from())["code"] == "unknown_slot"
        await page.socket.send_to(bytes_data=b"\x02" + bytes(16))
        assert (await page.socket.receive_json_from())["type"] == "error"


@pytest.mark.parametrize(
    ("origin", "hosts", "allowed"),
    [
        ("https://example.com", ["example.com"], True),
        ("https://example.com:8443", ["example.com"], True),
        ("https://a.example.com", [".example.com"], True),
        ("http://[::1]:8000", ["[::1]"], True),
        ("https://anything", ["*"], True),
        ("https://evil.com", ["example.com"], False),
        ("https://example.com.evil.com", ["example.com"], False),
        ("https://example.com@evil.com", ["example.com"], False),
        ("null", ["example.com"], False),
        ("", ["example.com"], False),
        ("file://", ["example.com"], False),
        ("https://[::1", ["example.com"], False),
        ("https://localhost", [], False),
    ],
)
async def test_origin(origin, hosts, allowed):
    with override_settings(ALLOWED_HOSTS=hosts):
        async with Connected(Page, origin=origin) as page:
            assert page.accepted is allowed
            assert allowed or page.code == FORBIDDEN


async def test_client_without_origin_is_no_browser():
    async with Connected(Page) as page:
        assert page.accepted


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://localhost:8000", True), ("http://x", False)]
)
async def test_origin_in_development(origin, allowed):
    with override_settings(DEBUG=True, ALLOWED_HOSTS=[]):
        async with Connected(Page, origin=origin) as page:
            assert page.accepted is allowed
