"""StorageSink on django-storages' S3, against moto."""

from __future__ import annotations

import secrets

import pytest

from djust_uploads.sinks import StorageSink
from djust_uploads.testing import SinkContract

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
s3 = pytest.importorskip("storages.backends.s3")


@pytest.fixture(scope="module")
def endpoint():
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


class TestS3Storage(SinkContract):
    #: The storage sends a part for each 5 MiB; files of several of these have more than one.
    part_size = 2 * 1024 * 1024
    spool = False

    @pytest.fixture
    def sink(self, endpoint):
        self.bucket = secrets.token_hex(8)
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="id",
            aws_secret_access_key="key",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=self.bucket)
        storage = s3.S3Storage(
            bucket_name=self.bucket,
            endpoint_url=endpoint,
            access_key="id",
            secret_key="key",
            region_name="us-east-1",
        )
        yield StorageSink(storage, "photos/%Y/", spool=self.spool)
        self.client.close()

    def leftovers(self, sink):
        """Multipart uploads that a crash left are not among them: a Django storage can't list
        them; a lifecycle rule of the bucket ends them."""
        return [item["Key"] for item in self._list().get("Contents", [])]

    def _list(self):
        return self.client.list_objects_v2(Bucket=self.bucket)

    def test_an_aborted_upload_leaves_no_parts(self, sink):
        self.test_abort_twice(sink, 3)
        assert not self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads")


class TestSpooledS3Storage(TestS3Storage):
    spool = True
