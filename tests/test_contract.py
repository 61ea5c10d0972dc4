"""Our own sinks hold the contract."""

from __future__ import annotations

import contextlib
import resource

import pytest

from djust_uploads import MemorySink, TemporaryFileSink
from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.sinks.temporary_file import GATHER
from djust_uploads.testing import RecordingSink, SinkContract


@contextlib.contextmanager
def no_room_for_files():
    """No file of this process may grow: every write fails with EFBIG, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestMemorySink(SinkContract):
    @pytest.fixture
    def sink(self):
        return MemorySink()


class TestRecordingSink(SinkContract):
    """The memory sink whose store can fail."""

    @pytest.fixture
    def sink(self):
        return RecordingSink()

    @contextlib.contextmanager
    def failing_store(self, sink):
        sink.fail = dict.fromkeys(("open", "write", "finish", "abort"), SinkUnavailable("down"))
        yield
        sink.fail = {}


class TestTemporaryFileSink(SinkContract):
    part_size = GATHER
    resumable = True

    @pytest.fixture
    def sink(self, tmp_path):
        self.directory = tmp_path
        return TemporaryFileSink(tmp_path)

    def leftovers(self, sink):
        return [path.name for path in self.directory.iterdir()]

    def failing_store(self, sink):
        return no_room_for_files()

    def another_process(self, sink):
        return TemporaryFileSink(self.directory)
