"""How much may be uploaded, by whom, and when again.

tests/doors/test_accounts.py has two processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid

import pytest
from django.core.cache import caches
from django.test import override_settings

from djust_uploads import MemorySink, TemporaryFileSink, UploadSlot, receipts
from djust_uploads.exceptions import InvalidSlot
from djust_uploads.resuming.parking import Parking
from djust_uploads.uploads import counters, process, takings
from djust_uploads.uploads.clients import client_address
from djust_uploads.uploads.counters import Places
from djust_uploads.uploads.sessions import Requester
from djust_uploads.wire import FrameType
from tests.support.connection import Connection, announced
from tests.support.servers import wait_until

cache = caches["default"]

NOON = 1_800_014_400.0


class User:
    is_authenticated = True

    def __init__(self, pk):
        self.pk = pk


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """``clock.now``: what it is o'clock for quotas."""

    class Clock:
        now = NOON
        monotonic = staticmethod(time.monotonic)

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(counters, "time", clock)
    monkeypatch.setattr("djust_uploads.uploads.quotas.time", clock)
    monkeypatch.setattr(takings, "places", Places())
    # What tests before have not given back yet is not of these places.
    monkeypatch.setattr(takings, "_returns", takings._Returns())
    monkeypatch.setattr(takings._Outage, "until", 0.0)
    cache.clear()
    return clock


@contextlib.asynccontextmanager
async def connect(user=1, address="10.0.0.1", session=None, **options):
    async with Connection(owner=f"user:{user}", **options) as page:
        scope = {"client": (address, 5), "user": User(user)}
        page.manager.authorization.requester = Requester(scope)
        yield page


def quotas(**limits):
    return override_settings(DJUST_UPLOADS={"QUOTAS": {"address": None, "user": limits}})


async def refusal(page, size=5):
    """What the next registration is told, or ``None`` if it is admitted."""
    ref = await page.register(size)
    [told] = [m for m in page.sent if m.get("ref") == ref]
    if told["type"] == "upload_registered":
        return None
    assert told["code"] == "quota_exceeded"
    return told["error"].partition(".")[0], told["retry_after"]


async def test_uploads_at_once():
    with quotas(UPLOADS=2):
        async with connect() as page, connect() as same, connect(user=2) as other:
            refs = [await page.register(5), await same.register(5)]
            assert await refusal(page) == ("Too many uploads at once", 10)
            assert await refusal(other) is None
            # One is cancelled, and one completes: both places are free.
            await page.frame(FrameType.CANCEL, refs[0])
            await same.chunks(refs[1], b"12345")
            await same.frame(FrameType.COMPLETE, refs[1])
            assert (await same.ended(refs[1]))["status"] == "complete"
            assert await wait_until(lambda: held(1) == 0, 5)
            assert [await refusal(page), await refusal(page)] == [None, None]
            assert await refusal(same) == ("Too many uploads at once", 10)
        # So are those of a connection that ends.
        assert await wait_until(lambda: not takings.places, 5)


def held(user):
    """How many places of this process are held, of all users but the second."""
    return sum(takings.places._held.values()) - 1


def test_what_is_given_back_when_an_event_loop_ends_is_given_back_on_the_next_one():
    names = ["user:1", "user:2"]
    for name in names:
        takings.places.take(cache, name, 1, limit=5)

    async def add(name):
        takings._returns.add([name], {})

    async def add_and_wait(name):
        await add(name)
        assert await wait_until(lambda: not takings.places, 5)

    asyncio.run(add(names[0]))
    assert takings.places
    asyncio.run(add_and_wait(names[1]))


async def test_bytes_a_day(clock):
    with quotas(BYTES_PER_DAY=100):
        async with connect() as page:
            assert (await page.upload(b"x" * 60))["status"] == "complete"
            assert await refusal(page, 41) == ("No more can be uploaded today", 43200)
            ref = await page.register(40)
            assert await refusal(page, 1) == ("No more can be uploaded today", 43200)
            # What is cancelled on its way, or fails, is given back.
            await page.frame(FrameType.CANCEL, ref)
            await page.ended(ref)

            async def room(size):
                for _ in range(100):
                    if await refusal(page, size) is None:
                        return True
                return False

            assert await room(40)
            # So is what is cancelled when it is complete.
            [complete] = [entry for entry in page.entries() if entry.complete]
            page.manager.cancel(complete.ref)
            assert await wait_until(lambda: complete.status == "cancelled", 5)
            assert await room(60)
            clock.now += 12 * 3600
            assert await refusal(page, 100) is None


async def test_bytes_of_a_file_that_is_removed_from_a_form_are_given_back(monkeypatch):
    monkeypatch.setattr(process, "parking", Parking())
    scope = {"user": User(1)}
    with quotas(BYTES_PER_DAY=100):
        async with connect(sink=MemorySink(), resumable=True) as page:
            assert (await page.upload(b"x" * 60))["status"] == "complete"
            receipt = receipts.issue(page.entries()[0], "user:1")
            assert await refusal(page, 41) == ("No more can be uploaded today", 43200)
            async with receipts.claimed(receipt, scope) as claim:
                await claim.discard()
            assert await wait_until(lambda: not takings._returns._begun, 5)
            assert await refusal(page, 100) is None


async def test_registrations_a_minute(clock):
    """In a list, as many are admitted as may be. What was cancelled is not given back here."""
    with quotas(REGISTRATIONS_PER_MINUTE=3):
        async with connect() as page:
            ref = await page.register(5)
            await page.frame(FrameType.CANCEL, ref)
            await page.manager.register({"uploads": announced(3)}, page.send)
            [answer] = [m for m in page.sent if "uploads" in m]
            codes = [one.get("code") for one in answer["uploads"]]
            assert codes == [None, None, "quota_exceeded"]
            clock.now += 59
            assert await refusal(page) == ("Too many files in a short time", 1)
            clock.now += 1
            assert await refusal(page) is None


async def test_a_slot_has_quotas_of_its_own():
    slot = {"quotas": {"slot": {"UPLOADS": 2}, "user": {"UPLOADS": 1}}}
    async with connect(**slot) as page, connect(2, **slot) as other, connect(3, **slot) as third:
        assert await refusal(page) is None
        assert (await refusal(page))[1] == 10
        assert await refusal(other) is None
        assert (await refusal(third))[1] == 10


@pytest.mark.parametrize(
    "wrong",
    [[], {"users": {}}, {"user": 5}, {"user": {"FILES": 1}}, {"user": {"UPLOADS": 0}}],
)
def test_wrong_quotas(wrong):
    with pytest.raises(InvalidSlot, match=r"quotas|UPLOADS"):
        UploadSlot("films", quotas=wrong)


def test_places_of_a_killed_process_are_free_in_time(clock):
    """Those of one that lives, or that takes an upload over, are not, and are counted once."""
    alive, killed, taking_over = Places(), Places(), Places()
    assert alive.take(cache, "user", 1, 3) == 1
    assert killed.take(cache, "user", 2, 3) == 2
    since = clock.now
    assert alive.take(cache, "user", 1, 3) == 0
    # One of the two uploads goes on elsewhere.
    taking_over.adopt(cache, "user", since)
    assert taken_of(alive, 3) == 0
    for _ in range(8):
        clock.now += counters.SPAN / 4
        alive.renew(cache)
        taking_over.renew(cache)
    assert taken_of(alive, 3) == 1
    # An upload of a process that was killed long ago is counted again.
    taking_over.adopt(cache, "user", since)
    assert taken_of(alive, 3) == 0
    taking_over.give_back(cache, "user", 2)
    assert taken_of(alive, 3) == 2
    clock.now += 5 * counters.SPAN
    alive.renew(cache)
    assert taken_of(alive, 3) == 2


async def test_places_are_counted_anew_as_soon_as_a_span_begins(clock):
    """Whoever takes an upload over relies on that: what it counts once, it gives back once."""
    clock.now += counters.SPAN - 0.2
    async with connect() as page:
        await page.register(5)
        clock.now += 0.2
        spans = takings.places._counted_to
        assert spans
        next_one = counters.present_span() + 1
        assert await wait_until(lambda: set(spans.values()) == {next_one}, 2)


def taken_of(places, limit):
    """How many places are free."""
    taken = places.take(cache, "user", limit, limit)
    places.give_back(cache, "user", taken)
    return taken


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_the_cache_uploads_go_on(monkeypatch, hangs, caplog):
    """What a cache that hangs has counted after all is given back."""
    wait = time.sleep

    def fails(*args):
        if hangs:
            wait(0.3)
            return add(*args)
        raise ConnectionError("no cache")

    add = counters.add
    monkeypatch.setattr(counters, "add", fails)
    monkeypatch.setattr(takings, "CACHE_TIMEOUT", 0.1)
    monkeypatch.setattr("djust_uploads.uploads.quotas.add", fails)
    with quotas(UPLOADS=1, BYTES_PER_DAY=10):
        async with connect() as page:
            assert (await page.upload(b"12345"))["status"] == "complete"
            assert (await page.upload(b"12345"))["status"] == "complete"
    assert caplog.text.count("quotas are not counted") == 1
    assert await wait_until(lambda: not takings.places, 5)


async def test_what_was_counted_while_the_event_loop_stood_still_is_given_back(monkeypatch):
    """The answer is there, but too late. The cache is not asked for a moment then."""
    monkeypatch.setattr(takings, "CACHE_TIMEOUT", 0.05)
    monkeypatch.setattr(takings, "PAUSE", 0.2)
    undone = []

    def undo(cache, result):
        undone.append(result)

    taking = asyncio.create_task(takings.in_cache(lambda cache: "taken", undo=undo))
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251
    assert await taking is None
    assert await wait_until(lambda: undone, 2)
    await asyncio.sleep(0.3)
    assert undone == ["taken"]


async def test_a_complete_upload_that_another_process_has_had_gives_nothing_back(
    monkeypatch, tmp_path
):
    """That process has given its place back when it was complete, and this one holds another."""
    options = {"sink": TemporaryFileSink(tmp_path), "resumable": True}
    with quotas(UPLOADS=1):
        async with connect(**options) as page:
            ref = await page.register(5)
            await page.chunks(ref, b"12345")
            await page.frame(FrameType.COMPLETE, ref)
            assert (await page.ended(ref))["status"] == "complete"
            assert await wait_until(lambda: not takings.places, 5)
        monkeypatch.setattr(process, "parking", Parking())
        async with connect(**options) as page:
            assert await refusal(page) is None
            answer = await page.resume(ref)
            assert (await page.go_on(answer, b"12345"))["status"] == "complete"
            assert not takings._returns._places
            assert await refusal(page) == ("Too many uploads at once", 10)


async def test_a_cache_that_fails_between_two_answers_costs_no_place(monkeypatch):
    """An upload takes a place of its user and one of its address, each in two spans."""
    answers = iter(range(1, 100))

    def fails(cache, key, *args):
        if ":uploads:" in key and next(answers) == 3:
            raise ConnectionError("no cache")
        return add(cache, key, *args)

    add = counters.add
    monkeypatch.setattr(counters, "add", fails)
    with override_settings(DJUST_UPLOADS={"QUOTAS": {}}):
        async with connect() as page:
            assert (await page.upload(b"12345"))["status"] == "complete"
            assert not takings.places


async def test_a_list_whose_connection_ends_gives_its_places_back():
    with quotas(UPLOADS=100):
        async with connect(max_entries=50) as page:
            refs = [str(uuid.uuid4()) for _ in range(50)]
            files = [{**announced(1)[0], "ref": ref} for ref in refs]
            registering = asyncio.create_task(page.manager.register({"uploads": files}, page.send))
            while not page.entries():  # noqa: ASYNC110 (the moment matters)
                await asyncio.sleep(0)
            registering.cancel()
            await asyncio.wait([registering])
            assert len(page.entries()) < 50
        assert await wait_until(lambda: not takings.places, 5)


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "1.1.1.1", "1.1.1.1"),
        (1, "", "9.9.9.9"),
        (1, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (1, "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        (1, "1.1.1.1:443", "1.1.1.1"),
        (1, "::ffff:1.1.1.1", "1.1.1.1"),
        (1, "unknown", None),
    ],
)
def test_the_address_behind_proxies(proxies, header, address):
    headers = [(b"x-forwarded-for", header.encode())] if header else []
    with override_settings(DJUST_UPLOADS={"TRUSTED_PROXIES": proxies}):
        assert client_address({"client": ("9.9.9.9", 1), "headers": headers}) == address
