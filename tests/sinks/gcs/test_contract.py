"""The contract of a sink, by GCSSink: on the emulator, and on one that does what the store does."""

from __future__ import annotations

import contextlib

import pytest
import requests
from google.auth.exceptions import RefreshError

from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.sinks import GCSSink
from djust_uploads.testing import SinkContract
from tests.support.gcs_uploads import PART
from tests.support.matrix import FAULT_POINTS, matrix


class OnStore(SinkContract):
    part_size = PART
    resumable = True
    store_error = SinkUnavailable
    # Each request takes a while: few faults of each kind, and few orders.
    fault_points = FAULT_POINTS
    random_orders = 2

    def another_process(self, sink):
        return GCSSink("media", chunk_size=PART, **self.store.options)

    def failing_store(self, sink):
        return raising(sink, requests.ConnectionError("nobody there"))

    def refusing_store(self, sink):
        return raising(sink, RefreshError("the key was deleted"))


@contextlib.contextmanager
def raising(sink, error):
    def broken():
        raise error

    connect, sink._bucket.api._connect = sink._bucket.api._connect, broken
    yield
    sink._bucket.api._connect = connect


class TestGCSSink(OnStore):
    @pytest.fixture
    def sink(self, gcs_proxy):
        gcs_proxy.reset()
        gcs_proxy.empty()
        self.store = gcs_proxy
        return self.another_process(None)

    def leftovers(self, sink):
        # A session whose URI nobody heard ends by itself; a cancelled open() may leave one.
        return self.store.keys()


@matrix
class TestGCSSinkOnTheEmulator(OnStore):
    @pytest.fixture
    def sink(self, gcs_emulator):
        gcs_emulator.empty()
        self.store = gcs_emulator
        return self.another_process(None)

    def leftovers(self, sink):
        return self.store.keys()

    # The emulator can't cancel a session, DELETE is 501 there; with the proxy before it, it can.
    test_resume_and_abort = None
    # It takes bytes for a session that is complete, and replaces the object.
    test_who_was_replaced_finishes_last = None
