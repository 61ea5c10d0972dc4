"""Windows and the budget that they share, without a socket, with a clock of the test's own."""

from __future__ import annotations

from collections import deque

import hypothesis
import pytest
from django.test import override_settings
from hypothesis import strategies as st

from djust_uploads.flow.budget import TURN_TIMEOUT, Budget, gather_size
from djust_uploads.flow.window import MAX_WINDOW, START_SHARE, START_WINDOW, Window

CHUNK = 64 * 1024
MIB = 1024 * 1024


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Page:
    """A client that keeps to the limit it was told, and a sink that takes what it is told to."""

    def __init__(self, budget=None, *, size=10**9, chunk=CHUNK, clock=None):
        self.budget = budget or Budget()
        self.clock = clock or Clock()
        self.window = Window(chunk, size, moved=self._move, budget=self.budget, clock=self.clock)
        self.size, self.chunk = size, chunk
        self.limits = [self.window.limit]
        self.received = self.taken = 0
        self.moved = False
        self.buffer = deque()

    @property
    def next(self):
        """Bytes of the chunk that the client would send next."""
        return min(self.chunk, self.size - self.received)

    @property
    def may_send(self):
        if self.moved:
            self.hear()
        return self.next > 0 and self.received + self.next <= self.limits[-1]

    def send(self):
        self.buffer.append(self.next)
        self.received += self.next
        self.window.feed(self.buffer[-1], self.received)

    def take(self):
        size = self.buffer.popleft()
        self.taken += size
        self.window.take(size, self.taken)
        due = self.clock.now >= self.window.told_at + 0.1
        if self.window.must_tell(self.received) or due:
            self.limits.append(self.window.tell())

    def _move(self):
        self.moved = True

    def hear(self):
        """Of the limit that has moved."""
        self.moved = False
        if self.window.must_tell(self.received):
            self.limits.append(self.window.tell())

    def send_all(self):
        """What the client may send now."""
        while self.may_send:
            self.send()

    def take_all(self):
        while self.buffer:
            self.take()

    def rounds(self, count, *, away=0.1, taking=0.0):
        """Round trips of ``away`` seconds, after each of which the sink takes ``taking`` seconds
        for all that came."""
        for _ in range(count):
            self.clock.now += away
            self.send_all()
            self.clock.now += taking
            self.take_all()


# One window


def test_window_starts_modest():
    page = Page()
    assert page.window.limit == page.window.size == START_WINDOW
    assert page.budget.uploads == 1
    assert page.budget.wanted == START_WINDOW


def test_windows_start_smaller_when_many_come_at_once():
    budget = Budget()
    pages = [Page(budget) for _ in range(1000)]
    assert pages[0].window.size == START_WINDOW
    assert pages[-1].window.size == CHUNK
    assert budget.wanted < 0.75 * budget.half


def test_window_is_never_less_than_what_must_move():
    assert Page(chunk=4 * MIB).window.size == 4 * MIB
    assert Page(chunk=100 * MIB).window.size == 100 * MIB


def test_window_of_a_small_file_is_no_larger():
    assert Page(size=100_000).window.size == 100_000
    assert Page(size=10).window.size == CHUNK


def test_window_grows_while_the_client_waits_for_word():
    page = Page()
    sizes = []
    for _ in range(12):
        page.rounds(1)
        sizes.append(page.window.size)
    assert sizes == sorted(sizes)
    assert sizes[-1] == MAX_WINDOW
    assert page.budget.wanted == MAX_WINDOW


def test_window_grows_no_larger_than_the_file():
    page = Page(size=START_WINDOW + 10)
    page.rounds(3)
    assert (page.taken, page.window.size) == (page.size, page.size)


def test_window_of_a_slow_sink_stays():
    page = Page()
    page.rounds(20, taking=1.0)
    assert page.window.size == START_WINDOW
    assert page.taken >= 10 * START_WINDOW


def test_window_of_a_slow_client_stays():
    page = Page()
    page.clock.now += 0.01
    for _ in range(200):
        page.send()
        page.take()
        page.clock.now += 0.5
    assert page.window.size == START_WINDOW


def test_window_of_a_sink_that_takes_much_at_once_stays():
    page = Page()
    for _ in range(40):
        page.clock.now += 0.1
        page.send_all()
        # The last chunk that it gathers; then it waits for its store.
        page.take()
        page.clock.now += 1.0
        page.send_all()
        page.take_all()
    assert page.window.size == START_WINDOW


def test_round_trip_is_the_least_that_was_measured():
    page = Page()
    page.rounds(1, away=0.01)
    size = page.window.size
    page.rounds(20, away=0.2)
    assert page.window.size <= 2 * size


def test_client_that_oversteps_gets_no_larger_window():
    page = Page()
    page.send()
    for _ in range(100):
        for _ in range(20):
            page.send()
        page.clock.now += 0.1
        page.take_all()
    assert page.window.size == START_WINDOW


def test_limit_is_what_the_sink_took_and_the_window():
    page = Page()
    page.send_all()
    page.take()
    assert page.window.limit == CHUNK + START_WINDOW


def test_limit_begins_behind_what_the_sink_has_already():
    assert Window(CHUNK, 10**9, 5 * MIB, budget=Budget()).limit == 5 * MIB + START_WINDOW


# All windows


@override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 64 * MIB})
def test_windows_are_shared_evenly_when_they_don_t_fit():
    budget = Budget()
    pages = [Page(budget) for _ in range(2)]
    for page in pages:
        page.rounds(12)
    assert [page.window.size for page in pages] == [16 * MIB, 16 * MIB]
    modest = Page(budget)
    assert [page.window.size for page in pages] == [32 * MIB // 3, 32 * MIB // 3]
    assert modest.window.size == int(budget.share * START_SHARE)
    # It may want more when the others are gone.
    wanted = budget.wanted
    others = [Page(budget) for _ in range(1000)]
    modest.rounds(10)
    for page in others:
        page.window.close()
    assert budget.wanted == wanted
    others = [Page(budget) for _ in range(1000)]
    assert {page.window.size for page in [*pages, modest, *others]} == {CHUNK}
    for page in [modest, *others]:
        page.window.close()
    assert [page.window.size for page in pages] == [16 * MIB, 16 * MIB]


# Turns


@pytest.fixture
def crowd():
    """Ten pages with chunks of 1 MiB, and room for four of them at once."""
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 8 * MIB}):
        budget, clock = Budget(), Clock()
        yield [Page(budget, chunk=MIB, clock=clock) for _ in range(10)]


def test_where_a_chunk_for_each_has_no_room_they_take_turns(crowd):
    assert [page.may_send for page in crowd] == [True] * 4 + [False] * 6
    for _ in range(10):
        for page in crowd:
            if page.may_send:
                page.send()
                page.take()
            assert sum(page.limits[-1] - page.taken for page in crowd) <= 4 * MIB
        sent = [page.received // MIB for page in crowd]
        assert max(sent) - min(sent) <= 1
    assert min(sent) >= 9


def test_who_leaves_makes_room(crowd):
    first, fifth = crowd[0], crowd[4]
    first.window.close()
    assert fifth.may_send
    crowd[5].window.close()
    crowd[1].window.close()
    assert crowd[6].may_send


def test_room_that_nobody_uses_is_another_s_after_a_while(crowd):
    """Clients that are slow, or gone without a word, keep nobody waiting for long; and when they
    send after all, that counts."""
    budget, clock = crowd[0].budget, crowd[0].clock
    clock.now += TURN_TIMEOUT
    last = crowd[-1]
    last.window.insist()
    last.hear()
    assert [page.may_send for page in crowd] == [True] * 8 + [False, True]
    last.send()
    for page in crowd[:4]:
        assert page.may_send
        page.send()
    assert budget.granted == 9 * MIB


def test_sink_that_hangs_keeps_the_others_waiting_for_a_while_only(crowd):
    for page in crowd[:4]:
        page.send()
    crowd[4].clock.now += TURN_TIMEOUT
    crowd[4].window.insist()
    crowd[4].hear()
    assert [page.may_send for page in crowd[:6]] == [False] * 4 + [True, False]


def test_turn_of_a_small_file_takes_no_more_room_than_it_needs():
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 2 * MIB}):
        budget = Budget()
        pages = [Page(budget, size=1000, chunk=256 * 1024) for _ in range(1000)]
        assert all(page.may_send for page in pages)
        assert budget.granted == 1000 * 1000


@override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 64 * MIB})
def test_limit_does_not_go_back_when_others_come():
    budget = Budget()
    page = Page(budget)
    page.rounds(12)
    limit = page.window.limit
    others = [Page(budget) for _ in range(1000)]
    assert page.window.size == CHUNK
    assert page.window.limit == limit
    page.send_all()
    page.take()
    assert page.window.limit == limit
    page.take_all()
    page.rounds(3)
    # The others have all the room, and don't use it.
    assert page.window.waits
    page.clock.now += TURN_TIMEOUT
    page.window.insist()
    assert limit < page.window.limit == page.taken + CHUNK
    assert len(others) == 1000


def test_closing_gives_back_everything_once():
    budget = Budget()
    page = Page(budget)
    page.rounds(3)
    page.send_all()
    assert budget.buffered == page.received - page.taken > 0
    for _ in range(2):
        page.window.close()
        assert (budget.uploads, budget.wanted, budget.buffered) == (0, 0, 0)


@override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": MIB})
def test_budget_is_overrun_by_more_than_all_of_it():
    budget = Budget()
    page = Page(budget)
    for _ in range(8):
        page.send()
    budget.hold(MIB // 2)
    assert not budget.overrun
    page.send()
    assert budget.overrun
    budget.release(MIB // 2)
    assert not budget.overrun


# What sinks gather


@override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 20 * MIB})
def test_sinks_have_the_other_half():
    budget = Budget()
    assert budget.fits(10 * MIB)
    budget.hold(6 * MIB)
    assert budget.fits(4 * MIB)
    assert not budget.fits(4 * MIB + 1)
    budget.release(6 * MIB)
    assert budget.fits(10 * MIB)


@override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": 20 * MIB})
def test_gathering_is_shared_evenly():
    windows = [Window(CHUNK, 10**9) for _ in range(20)]
    assert gather_size(MIB) == MIB // 2
    assert gather_size(1000) == 1000
    for window in windows:
        window.close()
    assert gather_size(MIB) == MIB


# Any order of things


class Process:
    """Many pages; ``step`` does one of the things that may happen next."""

    def __init__(self):
        self.budget, self.clock = Budget(), Clock()
        self.pages = []

    def step(self, what, which, seconds):
        self.clock.now += seconds
        page = self.pages[which % len(self.pages)] if self.pages else None
        if what == "join":
            chunk = (10_000, CHUNK, 256 * 1024)[which % 3]
            self.pages.append(Page(self.budget, size=2 * MIB + 1, chunk=chunk, clock=self.clock))
        elif page and what == "leave":
            page.window.close()
            self.pages.remove(page)
        elif page and what == "send" and page.may_send:
            page.send()
        elif page and what == "send all":
            page.send_all()
        elif page and what == "overstep" and page.next:
            page.send()
        elif page and what == "take" and page.buffer:
            page.take()
        elif page and what == "take all":
            page.take_all()

    def check(self):
        held = sum(page.received - page.taken for page in self.pages)
        assert (self.budget.uploads, self.budget.buffered) == (len(self.pages), held)
        assert self.budget.granted == sum(page.window._granted for page in self.pages)
        assert set(self.budget._line) <= {page.window for page in self.pages}
        for page in self.pages:
            assert page.limits == sorted(page.limits)
            assert page.limits[-1] <= page.window.limit
            assert page.window.size >= page.chunk
        if self.budget.wanted > self.budget.half:
            sizes = sum(page.window.size for page in self.pages)
            assert sizes <= self.budget.half + sum(page.chunk for page in self.pages)

    def finish(self):
        """Nobody stands still for ever: when the sink has taken all, the client may send, at once
        or a while later."""
        for page in self.pages:
            while page.received < page.size:
                page.take_all()
                if page.window.waits:
                    self.clock.now += TURN_TIMEOUT
                    page.window.insist()
                    page.hear()
                assert page.may_send
                page.send_all()
            page.take_all()
            assert page.taken == page.size


STEPS = st.tuples(
    st.sampled_from(["join", "leave", "send", "send all", "overstep", "take", "take all"]),
    st.integers(0, 20),
    st.sampled_from([0.0, 0.001, 0.1, 10.0]),
)


@pytest.mark.parametrize("buffered", [MIB, 8 * MIB, 256 * MIB])
@hypothesis.given(steps=st.lists(STEPS, max_size=80))
@hypothesis.settings(max_examples=50)
def test_whatever_happens_nobody_starves_and_nothing_is_miscounted(buffered, steps):
    with override_settings(DJUST_UPLOADS={"MAX_BUFFERED_BYTES": buffered}):
        process = Process()
        for step in [("join", 1, 0.0), *steps]:
            process.step(*step)
            process.check()
        process.finish()
        process.check()
