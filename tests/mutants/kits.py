"""The contract, as it is asked to find the mutants: the only tests of a mutant."""

from __future__ import annotations

import contextlib
import itertools
import resource
import signal
import threading

import pytest
from django.core.files.storage import FileSystemStorage

from djust_uploads.exceptions import SinkError, SinkFull, SinkUnavailable
from djust_uploads.testing import SinkContract


class Kit(SinkContract):
    """A mutant that hangs shall not cost much."""

    time_limit = 20.0
    random_orders = 8


@contextlib.contextmanager
def no_room_for_files():
    """No file of this process may grow, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestMemorySink(Kit):
    @pytest.fixture
    def sink(self):
        from djust_uploads.sinks import MemorySink

        return MemorySink()


class TestLargeMemorySink(TestMemorySink):
    """Its files are mappings."""

    part_size = 300 * 1024


class TestTemporaryFileSink(Kit):
    resumable = True
    store_error = SinkFull
    max_buffered = 8 * 64 * 1024

    @pytest.fixture
    def sink(self, tmp_path, monkeypatch):
        # It gathers less than in earnest, so that the tests need less.
        monkeypatch.setattr("djust_uploads.sinks.temporary_file.GATHER", self.part_size)
        self.directory = tmp_path
        return self.another_process(None)

    def another_process(self, sink):
        from djust_uploads.sinks import TemporaryFileSink

        return TemporaryFileSink(self.directory)

    def leftovers(self, sink):
        return [path.name for path in self.directory.iterdir()]

    def store_something_else(self, sink):
        (self.directory / "a report.txt").write_text("of somebody else")

    def failing_store(self, sink):
        return no_room_for_files()


class TestStorageSink(Kit):
    max_buffered = 8 * 64 * 1024
    spool = False

    @pytest.fixture
    def sink(self, tmp_path, monkeypatch):
        monkeypatch.setattr("djust_uploads.sinks.storage.writer.GATHER", self.part_size)
        self.folder = tmp_path
        return self.another_process(None)

    def another_process(self, sink):
        from djust_uploads.sinks import StorageSink

        return StorageSink(FileSystemStorage(self.folder), "photos/%Y/", spool=self.spool)

    def leftovers(self, sink):
        return [str(path) for path in self.folder.rglob("*") if path.is_file()]

    def failing_store(self, sink):
        return no_room_for_files()


class TestSpoolingStorageSink(TestStorageSink):
    max_buffered = 2 * 1024 * 1024
    spool = True
    store_error = SinkError


class OnServer(Kit):
    """For the examples: ``module`` and ``server_class`` say what runs beside them."""

    part_size = 256 * 1024
    resumable = True
    store_error = SinkUnavailable
    max_buffered = 512 * 1024

    @pytest.fixture
    def sink(self):
        with self.make_server() as self.server:
            thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
            thread.start()
            yield self.another_process(None)
            self.server.shutdown()
            thread.join()

    outages = itertools.repeat(503)

    @contextlib.contextmanager
    def failing_store(self, sink, status=None):
        self.server.broken = status or next(self.outages)
        yield
        self.server.broken = None

    def refusing_store(self, sink):
        return self.failing_store(sink, status=403)


class TestVaultSink(OnServer):
    def make_server(self):
        from vault import Vault

        return Vault()

    def another_process(self, sink):
        from sink import VaultSink

        return VaultSink(self.server.url)

    def leftovers(self, sink):
        return list(self.server.blobs)

    def store_something_else(self, sink):
        self.server.blobs["a report"] = bytearray(b"stored by another program")


class TestHttpSink(OnServer):
    #: The store fails in more ways than one.
    outages = itertools.cycle([503, 429, 500, 408])

    def make_server(self):
        from store import Store

        return Store()

    def another_process(self, sink):
        from sink import HttpSink

        return HttpSink(self.server.url)

    def leftovers(self, sink):
        return [*self.server.parts, *self.server.files]

    def store_something_else(self, sink):
        self.server.files["a report"] = b"stored by another program"
