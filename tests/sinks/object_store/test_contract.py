"""The contract of a sink, by ObjectStoreSink on real stores."""

from __future__ import annotations

import contextlib

import pytest

from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.testing import SinkContract
from tests.support.buckets import OBJECT_STORE, PART
from tests.support.google_xml import google
from tests.support.matrix import FAULT_POINTS, matrix
from tests.support.s3_stores import empty


class OnStore(SinkContract):
    part_size = PART
    store_error = SinkUnavailable
    # Each request takes a while: few faults of each kind, and few orders.
    fault_points = FAULT_POINTS
    random_orders = 2

    @contextlib.contextmanager
    def failing_store(self, sink):
        async def unreachable():
            raise SinkUnavailable("nobody there")

        aget, sink._bucket.client.aget = sink._bucket.client.aget, unreachable
        yield
        sink._bucket.client.aget = aget


class TestObjectStoreSinkOnS3(OnStore):
    @pytest.fixture
    def sink(self, store):
        # When the test has ended, its teardown asserts that no multipart upload is left.
        self.store = store
        return OBJECT_STORE.make(store)

    def leftovers(self, sink):
        # Marks are objects too. Of a process that crashed, obstore can't find multipart uploads.
        return self.store.object_keys()


@matrix
class TestObjectStoreSinkOnGoogle(OnStore):
    @pytest.fixture
    def sink(self, moto_store):
        empty(moto_store)
        self.store = moto_store
        with google(moto_store.endpoint_url) as proxy:
            yield OBJECT_STORE.make(proxy, url="gs://media")
        assert moto_store.uploads() == []

    def leftovers(self, sink):
        return self.store.object_keys()
