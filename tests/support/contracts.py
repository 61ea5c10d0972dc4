"""The contract as the tests of the contract use it."""

from __future__ import annotations

import pytest

from djust_uploads.testing import SinkContract
from tests.support.right_sinks import PART, DepotSink


class OnDepot(SinkContract):
    """For sinks of ``right_sinks``, and those that are like them."""

    part_size = PART
    resumable = True
    page_size = 4
    max_buffered = 8 * PART
    sink_class: type = DepotSink

    @pytest.fixture
    def sink(self):
        return self.sink_class()

    def another_process(self, sink):
        return type(sink)(sink.depot)

    def leftovers(self, sink):
        return sink.depot.names()

    def failing_store(self, sink):
        return sink.depot.failing()

    def losing_answers(self, sink):
        return sink.depot.failing("deaf")

    def refusing_store(self, sink):
        return sink.depot.failing("closed")

    def store_something_else(self, sink):
        sink.depot.files["a report"] = b"stored by another program"


class OnShelf(SinkContract):
    """For sinks of ``shelf``, and those that keep files in memory."""

    sink_class: type

    @pytest.fixture
    def sink(self):
        return self.sink_class()

    def leftovers(self, sink):
        return list(sink.shelf) if hasattr(sink, "shelf") else super().leftovers(sink)

    def failing_store(self, sink):
        return sink.failing() if hasattr(sink, "shelf") else None


def contract_of(sink_class):
    """Return the contract of a sink, as a class that pytest collects."""
    base = OnDepot if issubclass(sink_class, DepotSink) else OnShelf
    limit = getattr(sink_class, "time_limit", base.time_limit)
    return type("TestTheSink", (base,), {"sink_class": sink_class, "time_limit": limit})
