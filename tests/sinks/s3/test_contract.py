"""The contract of a sink, by S3Sink on a real store."""

from __future__ import annotations

import contextlib
import gc
import warnings

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.sinks import S3Sink
from djust_uploads.testing import SinkContract
from tests.support.buckets import PART
from tests.support.matrix import FAULT_POINTS
from tests.support.s3_stores import empty


class TestS3Sink(SinkContract):
    part_size = PART
    resumable = True
    store_error = SinkUnavailable
    # Each request takes a while: few faults of each kind, and few orders.
    fault_points = FAULT_POINTS
    random_orders = 2

    @pytest.fixture
    def sink(self, seaweedfs_store):
        empty(seaweedfs_store)
        self.store = seaweedfs_store
        yield self.another_process(None)
        # asyncio forgets the transport of a TLS handshake that is cancelled, as some tests here do;
        # it is found here and not in the middle of some later test.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def another_process(self, sink):
        return S3Sink("media", part_size=PART, **self.store.options)

    def leftovers(self, sink):
        return self.store.object_keys() + self.store.uploads()

    def failing_store(self, sink):
        return raising(sink, EndpointConnectionError(endpoint_url="https://store"))

    def refusing_store(self, sink):
        answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        return raising(sink, ClientError(answer, "Any"))


@contextlib.contextmanager
def raising(sink, error):
    async def broken():
        raise error

    get, sink._bucket._clients.get = sink._bucket._clients.get, broken
    yield
    sink._bucket._clients.get = get
