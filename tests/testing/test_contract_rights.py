"""Sinks that are right pass the contract, whatever their way of working."""

from __future__ import annotations

import pytest

from djust_uploads.testing import SinkContract
from tests.support.right_sinks import PART, DepotSink, EagerSink, ThreadSink, WorkerSink


class OnDepot(SinkContract):
    part_size = PART
    resumable = True
    page_size = 4
    sink_class = DepotSink

    @pytest.fixture
    def sink(self):
        return self.sink_class()

    def another_process(self, sink):
        return self.sink_class(sink.depot)

    def leftovers(self, sink):
        return sink.depot.names()

    def failing_store(self, sink):
        return sink.depot.failing()

    def losing_answers(self, sink):
        return sink.depot.failing("deaf")


class TestPartAfterPart(OnDepot):
    pass


class TestByAWorker(OnDepot):
    sink_class = WorkerSink


class TestInThreads(OnDepot):
    sink_class = ThreadSink


class TestEagerly(OnDepot):
    sink_class = EagerSink
