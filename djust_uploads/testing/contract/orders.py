"""Calls in any order: two processes, several uploads, faults, sweeps. Needs hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from ...sinks.base import Sink
from .model import Model, Upload
from .steps import SinkTests

#: Calls that an order has at most.
STEPS = 20

#: The calls that need an upload that goes on, and those that need a finished file.
_UNFINISHED = ("write", "finish", "abort")
_FINISHED = ("keep", "delete")
_FAILING = (*_UNFINISHED, *_FINISHED, "sweep")


class Orders(SinkTests):
    def test_calls_in_any_order(self, sink: Sink) -> None:
        hypothesis = pytest.importorskip(
            "hypothesis", reason="Orders of calls are tried where hypothesis is installed."
        )
        from hypothesis.stateful import run_state_machine_as_test

        settings = hypothesis.settings(
            max_examples=self.random_orders,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,
            print_blob=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        if self.random_orders:
            run_state_machine_as_test(machine(self, sink), settings=settings)


def machine(test: SinkTests, sink: Sink) -> Any:
    """Return a state machine class that does to ``sink`` what a :class:`Model` can do."""
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

    part = test.part_size
    sizes = st.sampled_from([0, 1, part - 1, part, part + 1, 2 * part + 7])
    pieces = st.sampled_from([1, part // 2 + 1, part, 2 * part])
    which = st.integers(0, 5)
    process = st.integers(0, 1)
    fails = test.failing_store(sink) is not None

    class Orders(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model(test, sink)

        def run(self, call: Coroutine[Any, Any, None]) -> None:
            test._run(call)

        def some(self, wanted: Callable[[Upload], bool]) -> list[Upload]:
            return [upload for upload in self.model.uploads if wanted(upload)]

        def unfinished(self) -> list[Upload]:
            return self.some(lambda upload: upload.goes_on)

        def finished(self) -> list[Upload]:
            return self.some(lambda upload: upload.file is not None)

        def resumable(self) -> list[Upload]:
            return self.some(lambda upload: bool(upload.checkpoint) and not upload.swept)

        def replaced(self) -> list[Upload]:
            return self.some(lambda upload: bool(upload.replaced) and not upload.swept)

        @precondition(lambda self: len(self.model.uploads) < 4)
        @rule(process=process, size=sizes)
        def begin(self, process: int, size: int) -> None:
            self.run(self.model.begin(self.model.processes[process], size))

        @precondition(lambda self: self.unfinished())
        @rule(which=which, size=pieces, save=st.booleans())
        def write(self, which: int, size: int, save: bool) -> None:
            upload = chosen(self.unfinished(), which)
            self.run(self.model.write(upload, size))
            if save:
                self.run(self.model.checkpoint(upload))

        @precondition(lambda self: self.unfinished())
        @rule(which=which, call=st.sampled_from(["flush", "checkpoint", "finish", "abort"]))
        def go_on(self, which: int, call: str) -> None:
            upload = chosen(self.unfinished(), which)
            self.run(getattr(self.model, call)(upload))

        @precondition(lambda self: self.finished())
        @rule(which=which, call=st.sampled_from(["keep", "delete", "read", "checkpoint"]))
        def use(self, which: int, call: str) -> None:
            upload = chosen(self.finished(), which)
            if not upload.swept or call == "delete":
                self.run(getattr(self.model, call)(upload))

        @precondition(lambda self: self.resumable())
        @rule(which=which, process=process)
        def resume(self, which: int, process: int) -> None:
            upload = chosen(self.resumable(), which)
            self.run(self.model.resume(upload, self.model.processes[process]))
            self.run(self.model.checkpoint(upload))

        @precondition(lambda self: self.resumable())
        @rule(which=which, process=process)
        def resume_late(self, which: int, process: int) -> None:
            upload = chosen(self.resumable(), which)
            if upload.info.generation:
                self.run(self.model.resume_late(upload, self.model.processes[process]))

        @precondition(lambda self: self.replaced())
        @rule(which=which, size=pieces)
        def write_replaced(self, which: int, size: int) -> None:
            self.run(self.model.write_replaced(chosen(self.replaced(), which), size))

        @rule(process=process, days=st.integers(0, 1))
        def sweep(self, process: int, days: int) -> None:
            sweeping = self.model.processes[process]
            self.run(self.model.sweep(sweeping, timedelta(days=days)))

        @precondition(lambda self: fails and self.model.uploads)
        @rule(
            which=which, process=process, call=st.sampled_from([*_UNFINISHED, *_FINISHED, "sweep"])
        )
        def fail(self, which: int, process: int, call: str) -> None:
            fitting = {
                **dict.fromkeys(_UNFINISHED, self.unfinished()),
                **dict.fromkeys(_FINISHED, self.finished()),
            }.get(call, self.model.uploads)
            if fitting:
                upload, sweeping = chosen(fitting, which), self.model.processes[process]
                self.run(self.model.fail(call, upload, sweeping))

        def teardown(self) -> None:
            self.run(self.model.end())

    return Orders


def chosen(uploads: list[Upload], which: int) -> Upload:
    return uploads[which % len(uploads)]
