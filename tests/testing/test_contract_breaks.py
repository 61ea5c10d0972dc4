"""The contract catches what is wrong with a sink, and says what to mend."""

from __future__ import annotations

import re

import hypothesis
import pytest

from tests.support import broken_depots
from tests.support.broken_sinks import BROKEN

pytest_plugins = ["pytester"]

CONTRACT = """
    import djust_uploads
    from tests.support import broken_depots
    from tests.support.broken_sinks import BROKEN
    from tests.support.contracts import contract_of
    from tests.support.shelf import ShelfSink

    TestTheSink = contract_of({sink})
    {attributes}
"""


#: As for an author who has pytest alone; hypothesis' plugin is slow to load.
ONLY_PYTEST = ("-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")


@pytest.fixture
def contract(pytester):
    """Runs the contract of a sink."""

    def run(sink, attributes="", tests=""):
        pytester.makepyfile(CONTRACT.format(sink=sink, attributes=attributes))
        return pytester.runpytest_inprocess(*ONLY_PYTEST, "--exitfirst", "-k", tests)

    return run


@pytest.fixture(scope="module", autouse=True)
def without_shrinking():
    """That hypothesis finds an order of calls is enough here. The shortest one takes it long."""
    before = hypothesis.settings.get_current_profile_name()
    phases = set(hypothesis.Phase) - {hypothesis.Phase.shrink, hypothesis.Phase.explain}
    hypothesis.settings.register_profile("without shrinking", deadline=None, phases=phases)
    hypothesis.settings.load_profile("without shrinking")
    yield
    hypothesis.settings.load_profile(before)


def test_there_are_many_broken_sinks():
    assert len(BROKEN) >= 60 and broken_depots


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sink_is_caught(contract, name):
    _, test, message = BROKEN[name]
    result = contract(f"BROKEN[{name!r}][0]", tests=test)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) > 0
    assert re.search(message, result.stdout.str())


def test_the_sink_that_is_broken_above_is_right(contract):
    assert set(contract("ShelfSink", "TestTheSink.resumable = True").parseoutcomes()) == {"passed"}


def test_a_sink_that_should_be_resumable_is_caught(contract):
    result = contract("djust_uploads.MemorySink", "TestTheSink.resumable = True")
    result.stdout.fnmatch_lines(["*checkpoint() returned None, though the test says 'resumable'*"])


def test_a_look_into_the_store_that_sees_nothing_is_caught(contract):
    blind = "TestTheSink.leftovers = lambda self, sink: []"
    result = contract("ShelfSink", blind, tests="test_delete")
    result.stdout.fnmatch_lines(["*leftovers() named nothing when a file was stored*"])


def test_the_fixture_is_asked_for(pytester):
    pytester.makepyfile(
        """
        from djust_uploads.testing import SinkContract

        class TestNothing(SinkContract):
            pass
        """
    )
    result = pytester.runpytest_inprocess(*ONLY_PYTEST, "-k", "finish_twice")
    result.stdout.fnmatch_lines(["*Override the fixture 'sink': return the sink to test.*"])
