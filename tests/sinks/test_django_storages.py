"""StorageSink on django-storages' S3, against moto."""

from __future__ import annotations

import pytest

from djust_uploads.sinks import StorageSink
from djust_uploads.testing import SinkContract
from tests.support.matrix import FAULT_POINTS, matrix

moto = pytest.importorskip("moto.server")
s3 = pytest.importorskip("storages.backends.s3")


@pytest.fixture(scope="module")
def endpoint():
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def storage(endpoint):
    storage = s3.S3Storage(
        bucket_name="media",
        endpoint_url=endpoint,
        access_key="id",
        secret_key="key",
        region_name="us-east-1",
    )
    storage.connection.create_bucket(Bucket="media")
    return storage


class TestS3Storage(SinkContract):
    #: The storage sends a part for each 5 MiB; files of several of these have more than one.
    part_size = 2 * 1024 * 1024
    # Each request takes a while: few faults of each kind, and few orders.
    fault_points = FAULT_POINTS
    random_orders = 2
    spool = False

    @pytest.fixture
    def sink(self, storage):
        self.bucket = storage.bucket
        return StorageSink(storage, "photos/%Y/", spool=self.spool, threads=1)

    def leftovers(self, sink):
        """Multipart uploads that a crash left are not among them: a Django storage can't list
        them; a lifecycle rule of the bucket ends them."""
        return [item.key for item in self.bucket.objects.all()]

    def test_an_aborted_upload_leaves_no_parts(self, sink):
        before = len(list(self.bucket.multipart_uploads.all()))
        self.test_abort_twice(sink, 3)
        assert len(list(self.bucket.multipart_uploads.all())) == before


@matrix
class TestSpooledS3Storage(TestS3Storage):
    spool = True
