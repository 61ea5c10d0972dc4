"""The contract catches what is wrong with a sink, and says what to mend."""

from __future__ import annotations

import re

import pytest

from tests.support.broken_sinks import BROKEN

pytest_plugins = ["pytester"]

CONTRACT = """
    import pytest
    from djust_uploads.testing import SinkContract
    from tests.support.broken_sinks import BROKEN
    from tests.support.shelf import ShelfSink

    class TestTheSink(SinkContract):
        {attributes}

        @pytest.fixture
        def sink(self):
            return {sink}()

        def leftovers(self, sink):
            return list(sink.shelf) if hasattr(sink, "shelf") else super().leftovers(sink)

        def failing_store(self, sink):
            return sink.failing() if hasattr(sink, "shelf") else None
"""


#: As for an author who has pytest alone; hypothesis' plugin is slow to load.
ONLY_PYTEST = ("-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")


@pytest.fixture
def contract(pytester):
    """Runs the contract of a sink."""

    def run(sink, attributes="", tests=""):
        pytester.makepyfile(CONTRACT.format(sink=sink, attributes=attributes))
        return pytester.runpytest_inprocess(*ONLY_PYTEST, "-k", tests)

    return run


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sink_is_caught(contract, name):
    _, test, message = BROKEN[name]
    result = contract(f"BROKEN[{name!r}][0]", tests=test)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) > 0
    assert re.search(message, result.stdout.str())


def test_the_sink_that_is_broken_above_is_right(contract):
    assert set(contract("ShelfSink", "resumable = True").parseoutcomes()) == {"passed"}


def test_a_sink_that_should_be_resumable_is_caught(contract):
    result = contract("__import__('djust_uploads').MemorySink", "resumable = True")
    result.stdout.fnmatch_lines(["*checkpoint() returned None, though the test says 'resumable'*"])


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
