"""The contract as the tests of the contract use it."""

from __future__ import annotations

import pytest

from djust_uploads import Sink
from djust_uploads.testing import SinkContract
from tests.support.right_sinks import PART, DepotSink
from tests.support.shelf import ShelfSink


def resized(content: bytes, by: int) -> bytes:
    return content[:by] if by < 0 else content + b"?"


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

    def damage_store(self, sink, by):
        for things in (sink.depot.files, *sink.depot.parts.values()):
            things.update({name: resized(content, by) for name, content in things.items()})

    def store_something_else(self, sink):
        sink.depot.files["a report"] = b"stored by another program"


class InMemory(SinkContract):
    """For sinks that keep files in memory."""

    sink_class: type

    @pytest.fixture
    def sink(self):
        return self.sink_class()


class OnShelf(InMemory):
    """For sinks of ``shelf``."""

    def leftovers(self, sink):
        return list(sink.shelf)

    def failing_store(self, sink):
        return sink.failing()

    def damage_store(self, sink, by):
        for item in sink.shelf.values():
            item.content = resized(item.content, by)


def contract_of(sink_class):
    """Return the contract of a sink, as a class that pytest collects."""
    contracts = {DepotSink: OnDepot, ShelfSink: OnShelf, Sink: InMemory}
    base = next(each for kind, each in contracts.items() if issubclass(sink_class, kind))
    limit = getattr(sink_class, "time_limit", base.time_limit)
    return type("TestTheSink", (base,), {"sink_class": sink_class, "time_limit": limit})
