"""Who may upload: what the application is asked, when, and what becomes of those who may not.

tests/doors/test_accounts.py has users, sessions and every door.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, SynchronousOnlyOperation

from djust_uploads import TemporaryFileSink, UploadMixin, UploadSlot
from djust_uploads.exceptions import Forbidden, InvalidSlot, SessionEnded
from djust_uploads.testing import RecordingSink
from djust_uploads.uploads.sessions import Requester
from djust_uploads.wire import FrameType
from tests.support.connection import Connection, announced
from tests.support.servers import wait_until

FORBIDDEN = "You are not allowed to upload files here."
UNSURE = "It could not be checked whether you may upload. Please try again."


class User:
    pk = 1
    is_authenticated = True

    def __init__(self, *permissions):
        self.permissions, self.asked = permissions, 0

    def has_perms(self, permissions):
        self.asked += 1
        return set(permissions) <= set(self.permissions)


def connect(ask=None, user=None, **options):
    """A page whose ``authorize_upload()`` is ``ask``, and its sink."""
    page = Connection(sink=RecordingSink(), **options)
    page.manager.authorization.ask = ask
    if user:
        page.manager.authorization.requester = Requester({"user": user})
    return page


def yes(entry):
    return True


def no(entry):
    return False


async def nothing(entry):
    return None


def denied(entry):
    raise PermissionDenied("not today")


def with_reason(entry):
    raise Forbidden(message="Ask your teacher first.")


async def mistaken(entry):
    raise KeyError("a mistake")


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (no, FORBIDDEN),
        (nothing, FORBIDDEN),
        (denied, FORBIDDEN),
        (with_reason, "Ask your teacher first."),
        (mistaken, UNSURE),
    ],
)
async def test_a_refused_file_does_not_reach_the_sink(ask, sentence, caplog):
    """Even if its bytes came along with its registration, as those of small files do."""
    async with connect(ask) as page:
        ref = "00112233-4455-6677-8899-aabbccddeeff"
        message = {"upload_name": "files", "ref": ref, "client_name": "a", "client_size": 5}
        await page.manager.register({"uploads": [message]}, page.send)
        await page.frame(FrameType.CHUNK, ref, 0, b"12345")
        await page.frame(FrameType.COMPLETE, ref)
        [answer] = page.sent
        [told] = answer["uploads"]
        assert (told["code"], told["error"]) == ("forbidden", sentence)
        assert page.slot.sink.calls == []
        assert [entry.error_code for entry in page.entries()] == ["forbidden"]
    assert ("a mistake" in caplog.text) == (ask is mistaken)


async def test_a_slow_answer_keeps_nobody_else_waiting():
    """A function runs in a thread, and the files of a list are asked about at the same time."""
    asked = threading.Barrier(3)

    def ask(entry):
        # The two others are asked while this one waits.
        asked.wait(5)
        return entry.client_name != "1"

    async with connect(ask) as page:
        registering = asyncio.create_task(
            page.manager.register({"uploads": announced(3)}, page.send)
        )
        ticks = 0
        while not registering.done():
            await asyncio.sleep(0)
            ticks += 1
        assert ticks > 3
        [answer] = page.sent
        types = [one["type"] for one in answer["uploads"]]
        assert types == ["upload_registered", "upload_progress", "upload_registered"]


async def test_permissions_are_asked_for_once_a_message():
    user = User("films.add_film")
    slot = {"permission_required": ["films.add_film"]}
    async with connect(user=user, **slot) as page:
        await page.upload(b"12345")
        assert user.asked == 1
    async with connect(user=User(), **slot) as page:
        await page.register(5)
        assert page.sent[0]["code"] == "forbidden"
    async with connect(**slot) as page:
        await page.register(5)
        told = page.sent[0]
        assert (told["code"], told["error"]) == (
            "unauthenticated",
            "Please log in to upload files here.",
        )


async def test_consumption_asks_again(tmp_path):
    """The file of the second entry is deleted, and the page hears why; the others are got."""

    async def ask(entry):
        return entry.client_name != "refused"

    async with Connection(sink=TemporaryFileSink(tmp_path)) as page:
        names = ["first", "refused", "third"]
        for name in names:
            assert (await page.upload(b"12345", name))["status"] == "complete"
        first, refused, third = [Path(e.file.temporary_file_path()) for e in page.entries()]
        page.manager.authorization.ask = ask
        with page.manager.turn():
            got = [entry.client_name async for entry in page.manager.consume("files")]
            assert await wait_until(lambda: not refused.exists(), 10)
            assert first.exists()
            assert third.exists()
        assert got == ["first", "third"]
        [told] = [m for m in page.sent if m.get("code")]
        assert (told["code"], told["error"]) == ("forbidden", FORBIDDEN)
        assert [e.client_name for e in page.entries() if e.error_code] == ["refused"]
        assert await wait_until(lambda: not list(tmp_path.iterdir()), 10)


@pytest.mark.parametrize("error", [SessionEnded("logged out"), RuntimeError("no database")])
async def test_what_is_not_known_to_be_refused_stays(error):
    async with connect(user=User()) as page:
        await page.upload(b"12345")

        async def fails():
            raise error

        page.manager.authorization.requester.look = fails
        with pytest.raises(Forbidden if isinstance(error, RuntimeError) else SessionEnded):
            await anext(page.manager.consume("files"))
        assert [entry.complete for entry in page.entries()] == [True]


async def test_a_for_loop_on_the_event_loop_cannot_ask():
    async with connect(yes) as page:
        await page.upload(b"12345")
        with pytest.raises(SynchronousOnlyOperation, match="async for"):
            next(page.manager.consume("files"))
        consume = page.manager.consume
        with page.manager.turn():
            got = await asyncio.to_thread(lambda: [e.data for e in consume("files")])
        assert got == [b"12345"]


class View(UploadMixin):
    permission_required = "films.add_film"


def test_permissions_of_the_class_and_of_the_slot():
    view = View()
    assert view.allow_upload("a").permissions == ("films.add_film",)
    assert view.allow_upload("b", permission_required=()).permissions == ()
    assert view.allow_upload("c", permission_required=["a.b", "c.d"]).permissions == ("a.b", "c.d")
    assert view._upload_manager.authorization.ask is None


@pytest.mark.parametrize("wrong", ["add_film", [5], 7, {"films.add_film": True}])
def test_wrong_permissions(wrong):
    with pytest.raises(InvalidSlot, match="permission_required"):
        UploadSlot("films", permission_required=wrong)
