"""Each call is disturbed at every point at which it waits for the store, in every way."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ...exceptions import UploadError
from ...sinks.base import Sink
from .content import data_of
from .driving import (
    CancelWhenItIsAnswered,
    CancelWhenItWaits,
    Deafness,
    Disturbance,
    Failure,
    Fault,
    LostAnswer,
    Outage,
    Outcome,
    ShortFailure,
)
from .harness import EndOfTest, on_loop
from .scene import Scene
from .scenes import SCENES
from .steps import SinkTests

CALLS = pytest.mark.parametrize("call", SCENES)


class Faults(SinkTests):
    # Each test goes through all points and all that may come next.

    @CALLS
    @on_loop
    async def test_cancel_during(self, sink: Sink, call: str) -> None:
        counted = await self._count(sink, call)
        kinds: tuple[type[Disturbance], ...] = (CancelWhenItWaits, CancelWhenItIsAnswered)
        for kind in kinds:
            await self._disturb(sink, call, kind, range(1, counted.points + 1))
        await self._still_works(sink, f"a cancelled {call}()")

    @CALLS
    @on_loop
    async def test_the_store_fails_during(self, sink: Sink, call: str) -> None:
        counted = await self._count(sink, call)
        kinds: tuple[type[Disturbance], ...] = (Failure, ShortFailure, Outage)
        for kind in kinds:
            points = range(counted.points + 1)
            await self._disturb(sink, call, kind, points, store=self._failing)
        await self._still_works(sink, f"{call}() failed")

    @on_loop
    async def test_each_call_tells_of_the_same_failure(self, sink: Sink) -> None:
        """The failure that may be tried again in ``finish()`` may be in each call."""
        reference = await self._error_of(sink, "finish")
        if reference is None:
            return
        for call in SCENES:
            with contextlib.suppress(EndOfTest):
                error = await self._error_of(sink, call)
                assert error is None or error.retryable == reference.retryable, (
                    f"{call}() raised {error!r}, where write() and finish() raised {reference!r}, "
                    "and only one of them is 'retryable': the store failed in the same way, so "
                    "raise the same error."
                )

    @CALLS
    @on_loop
    async def test_an_answer_is_lost_during(self, sink: Sink, call: str) -> None:
        """The store did what it was asked, and the sink hears of an error."""
        counted = await self._count(sink, call)
        if self.losing_answers(sink) is None:
            await self._disturb(sink, call, LostAnswer, range(1, counted.answers + 1))
        else:
            points = range(counted.points + 1)
            await self._disturb(sink, call, Deafness, points, store=self._deaf)
        await self._still_works(sink, f"an answer was lost in {call}()")

    @on_loop
    async def test_a_store_that_fails_takes_nothing(self, sink: Sink) -> None:
        data = data_of(self.part_size + 1)
        # More than the writer may hold: it must not wait for ever for room that nothing makes.
        rest = self._most_buffered + 4 * self.part_size
        writer = await self._open(sink, len(data) + rest)
        self._doing = "write()"
        with self._failing(sink):
            try:
                await writer.write(data)
                for start in range(0, rest, self.part_size):
                    await writer.write(bytes(min(self.part_size, rest - start)))
                await writer.finish()
            except Exception as exc:
                self._is_outage(exc, "write()")
            else:
                raise AssertionError(
                    "write() and finish() said nothing though the store failed: let its error "
                    "pass, as one of ours."
                )
        assert writer.offset == 0, (
            f"offset is {writer.offset} though the store took nothing: add to it after the "
            "store has answered."
        )
        await self._abort(sink, writer, "write() failed")
        await self._still_works(sink, "write() failed")

    @CALLS
    @on_loop
    async def test_the_store_refuses_during(self, sink: Sink, call: str) -> None:
        """The error says so, and the call does what it is for when the store is well again."""
        await self._error_of(sink, call, refused=True)

    @on_loop
    async def test_a_refusal_is_no_outage(self, sink: Sink) -> None:
        """A wrong password is the same the next time: nothing is to be tried again."""
        data = data_of(self.part_size + 1)
        writer = await self._open(sink, len(data))
        # Errors are caught inside: not every context is left well by one.
        with self._refusing(sink):
            try:
                await writer.write(data)
                await writer.finish()
            except Exception as exc:
                self._is_refusal(exc, "write()")
            else:
                raise AssertionError("write() and finish() said nothing though the store refused.")
        await self._abort(sink, writer, "write() was refused")

    # How a call is disturbed

    async def _count(self, sink: Sink, call: str) -> Outcome:
        """Let the call be, and return how often it waits. It must do then what it is for."""
        scene = await self._prepared(sink, call)
        outcome = await self._driver.run(scene.call(), Disturbance())
        if outcome.error or outcome.cancelled:
            error = outcome.error or "CancelledError"
            raise AssertionError(
                f"{call}() raised {error!r}: nothing is wrong with the store."
            ) from outcome.error
        await scene.done(outcome.result)
        return outcome

    async def _prepared(self, sink: Sink, call: str) -> Scene:
        scene = SCENES[call](self, sink)
        await scene.prepare()
        can_resume = scene.name != "resume" or scene.checkpoint is not None
        if not can_resume or (scene.name == "sweep" and not await self._sweeps(sink)):
            await scene.give_up()
            raise EndOfTest
        self._doing = f"{scene.name}()"
        return scene

    async def _sweeps(self, sink: Sink) -> bool:
        """Whether the sink finds what is unfinished. The tests of sweeps say so if it must."""
        return bool(await self._sweep(sink, dry_run=True)) or not await self._in_store(sink)

    async def _disturb(
        self, sink: Sink, call: str, kind: type[Disturbance], points: range, **options: Any
    ) -> None:
        """Disturb the call at each of the points, with each of the things that may come next."""
        scene = SCENES[call]
        follow_ups = scene.after_cancel if kind.cancels else scene.after_error
        if not await self._has_checkpoints(sink):
            follow_ups = [each for each in follow_ups if each not in ("resume", "suspend")]
        most = self.fault_points if kind.with_all_that_may_follow else len(points)
        for point, next_ in chosen(points, follow_ups, min(most, self.fault_points)):
            await self._disturb_once(sink, call, kind(point, **options), next_)

    async def _has_checkpoints(self, sink: Sink) -> bool:
        writer = await self._open(sink, 1)
        checkpoint = await self._checkpoint_if_any(writer)
        with self._expect("abort()", "nothing was written."):
            await writer.abort()
        return checkpoint is not None

    async def _disturb_once(
        self, sink: Sink, call: str, disturbance: Disturbance, next_: str
    ) -> None:
        scene = await self._prepared(sink, call)
        disturbance.sink = scene.sink
        what = f"{scene.name}() {disturbance.happened} (point {disturbance.at})"
        try:
            outcome = await self._driver.run(scene.call(), disturbance)
            await self._follow(scene, outcome, disturbance, next_)
        except AssertionError as exc:
            raise AssertionError(f"{what}, and then: {exc}") from exc
        finally:
            disturbance.over()

    async def _follow(
        self, scene: Scene, outcome: Outcome, disturbance: Disturbance, next_: str
    ) -> None:
        error = outcome.error
        if isinstance(disturbance, Outage):
            if error or outcome.cancelled:
                await scene.in_outage()
            disturbance.over()
        if error is None and not outcome.cancelled:
            await scene.returned(outcome.result)
            return
        if error is not None:
            assert not disturbance.cancels, (
                f"{scene.name}() turned CancelledError into {error!r}: let it pass, 'except "
                "Exception' does."
            )
            scene.failed(error)
        await scene.unfinished()
        if isinstance(disturbance, Outage) and "abort" in scene.after_error:
            # It was called in the outage, and is called again.
            next_ = "abort"
        await getattr(scene, next_)()

    # Stores that fail

    def _failing(self, sink: Sink) -> Fault:
        context = self.failing_store(sink)
        assert context is not None, "failing_store() returned None: return a context manager."
        return context

    def _deaf(self, sink: Sink) -> Fault:
        context = self.losing_answers(sink)
        assert context is not None, "losing_answers() returned None: return a context manager."
        return context

    def _refusing(self, sink: Sink) -> Fault:
        context = self.refusing_store(sink)
        assert context is not None, "refusing_store() returned None: return a context manager."
        return context

    async def _error_of(
        self, sink: Sink, call: str, *, refused: bool = False
    ) -> UploadError | None:
        """What the call raises if the store fails, or refuses, all the time. After it, the store is
        well again, and the call must do what it is for."""
        scene = await self._prepared(sink, call)
        store = self._failing
        if refused:
            store, scene.judge = self._refusing, self._is_refusal
        failure = Failure(0, store=store)
        failure.sink = scene.sink
        outcome = await self._driver.run(scene.call(), failure)
        if outcome.error is None:
            await scene.returned(outcome.result)
            return None
        scene.failed(outcome.error)
        await scene.unfinished()
        await scene.again() if "again" in scene.after_error else await scene.abort()
        assert isinstance(outcome.error, UploadError)
        return outcome.error


def chosen(
    points: Sequence[int], follow_ups: Sequence[str], most: int
) -> Iterator[tuple[int, str]]:
    """Yield pairs of a point and what comes next: all, or ``most`` of them.

    Each point comes once before one comes twice. If there are more than ``most`` points, the first,
    the last and others between them are taken.
    """
    if len(points) > most:
        step = (len(points) - 1) / max(1, most - 1)
        points = [points[round(index * step)] for index in range(most)]
    pairs = (
        (point, follow_ups[(index + shift) % len(follow_ups)])
        for shift in range(len(follow_ups))
        for index, point in enumerate(points)
    )
    return itertools.islice(pairs, most)
