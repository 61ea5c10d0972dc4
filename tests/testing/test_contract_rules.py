"""The page for authors of sinks lists each rule with the test that proves it."""

from __future__ import annotations

import re

from djust_uploads.testing import SinkContract
from tests.support.servers import ROOT


def test_the_page_lists_each_rule_with_its_tests():
    page = (ROOT / "docs" / "custom-sinks.md").read_text()
    _, _, rules = page.partition("## The rules, and the tests that prove them")
    rows = re.findall(r"^\| ([A-Z`].*?) \| (.*) \|$", rules, re.M)
    listed = {name for _, tests in rows for name in re.findall(r"`(test_\w+)`", tests)}
    assert all("`test_" in tests for _, tests in rows)
    assert listed == {name for name in dir(SinkContract) if name.startswith("test_")}


def test_the_page_lists_each_hook():
    page = (ROOT / "docs" / "custom-sinks.md").read_text()
    named = set(re.findall(r"^\| `(\w+)", page, re.M))
    hooks = {name for name in dir(SinkContract) if not name.startswith(("_", "test_"))}
    assert hooks - {"sink"} <= named


def test_a_hook_may_come_with_a_subclass():
    class Base(SinkContract):
        """What several contracts share."""

    class WithHooks(Base):
        def failing_store(self, sink):
            """Make the store fail."""

        def store_something_else(self, sink):
            """Store a report."""

    class WithoutUnconsumed(WithHooks):
        sweeps_unconsumed = False

    names = (
        "test_the_store_fails_during",
        "test_an_answer_is_lost_during",
        "test_sweep_spares_what_others_stored",
        "test_a_refusal_is_no_outage",
        "test_sweep_takes_what_was_never_consumed",
    )
    asked = {
        contract: [name for name in names if getattr(contract, name)]
        for contract in (Base, WithHooks, WithoutUnconsumed)
    }
    assert asked == {
        Base: [*names[4:]],
        WithHooks: [*names[:3], *names[4:]],
        WithoutUnconsumed: [*names[:3]],
    }
