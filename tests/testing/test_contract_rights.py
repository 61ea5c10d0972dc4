"""Sinks that are right pass the contract, whatever their way of working."""

from __future__ import annotations

from tests.support.contracts import OnDepot
from tests.support.right_sinks import BeginningSink, EagerSink, ThreadSink, WorkerSink


class TestPartAfterPart(OnDepot):
    pass


class TestBegunInOpen(OnDepot):
    sink_class = BeginningSink


class TestByAWorker(OnDepot):
    sink_class = WorkerSink


class TestInThreads(OnDepot):
    sink_class = ThreadSink


class TestEagerly(OnDepot):
    sink_class = EagerSink
