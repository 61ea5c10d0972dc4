"""The contract, as it is asked to find the mutants: the only tests of a mutant."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import secrets
import signal
import threading
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test import override_settings

from djust_uploads.exceptions import SinkError, SinkFull, SinkUnavailable
from djust_uploads.testing import SinkContract


class Kit(SinkContract):
    """A mutant that hangs shall not cost much."""

    time_limit = 20.0
    random_orders = 8


#: Bytes that a file may have on a disk that gets full: none, or less than a part.
ROOM = itertools.cycle([0, 50_000])


@contextlib.contextmanager
def no_room_for_files():
    """Files of this process may not grow, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (next(ROOM), hard))
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

    def damage_store(self, sink, by):
        resize(self.directory.iterdir(), by)


class TestTemporaryFileSinkOfSettings(TestTemporaryFileSink):
    """Its directory is the one of the settings."""

    @pytest.fixture
    def sink(self, tmp_path, monkeypatch):
        monkeypatch.setattr("djust_uploads.sinks.temporary_file.GATHER", self.part_size)
        self.directory = tmp_path
        with override_settings(FILE_UPLOAD_TEMP_DIR=tmp_path):
            yield self.another_process(None)

    def another_process(self, sink):
        from djust_uploads.sinks import TemporaryFileSink

        return TemporaryFileSink(permissions=0o640)


def resize(paths, by):
    for path in paths:
        os.truncate(path, max(0, path.stat().st_size + by))


class TestStorageSink(Kit):
    max_buffered = 8 * 64 * 1024
    spool = False
    storage_class = FileSystemStorage

    @pytest.fixture
    def sink(self, tmp_path, monkeypatch):
        monkeypatch.setattr("djust_uploads.sinks.storage.writer.GATHER", self.part_size)
        self.folder = tmp_path
        return self.another_process(None)

    def another_process(self, sink):
        from djust_uploads.sinks import StorageSink

        return StorageSink(self.storage_class(self.folder), "photos/%Y/", spool=self.spool)

    def leftovers(self, sink):
        return [str(path) for path in self.folder.rglob("*") if path.is_file()]

    def failing_store(self, sink):
        return no_room_for_files()

    def damage_store(self, sink, by):
        photos = self.folder / "photos"
        resize([path for path in photos.rglob("*") if path.is_file()], by)


class SavingStorage(FileSystemStorage):
    """Can't be opened for writing, and reads what it saves from where it is."""

    def _open(self, name, mode="rb"):
        if mode != "rb":
            raise NotImplementedError(mode)
        return super()._open(name, mode)

    def _save(self, name, content):
        return super()._save(name, ContentFile(content.read()))


class TestSpoolingStorageSink(TestStorageSink):
    max_buffered = 2 * 1024 * 1024
    spool = True
    store_error = SinkError
    storage_class = SavingStorage


class TestStorageThatMustSpool(TestSpoolingStorageSink):
    spool = False


class RenamingStorage(FileSystemStorage):
    """Chooses a new name for a photo whenever it is asked for one, and saves nothing large."""

    prefixes = itertools.cycle("mza")

    def get_available_name(self, name, max_length=None):
        folder, _, last = name.rpartition("/")
        if not folder.startswith("photos"):
            return super().get_available_name(name, max_length)
        return f"{folder}/{next(self.prefixes)}{secrets.token_hex(4)}-{last}"

    def _save(self, name, content):
        assert content.size < 1000
        return super()._save(name, content)


class TestRenamingStorage(TestStorageSink):
    storage_class = RenamingStorage


class CoarseClock:
    """A clock that ticks seldom: what is new is 0 seconds old."""

    @staticmethod
    def time():
        return time.time() // 0.05 * 0.05


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
    refusals = itertools.cycle([403, 401])

    @contextlib.contextmanager
    def failing_store(self, sink, status=None):
        self.server.broken = status or next(self.outages)
        yield
        self.server.broken = None

    def refusing_store(self, sink):
        return self.failing_store(sink, next(self.refusals))


class TestVaultSink(OnServer):
    def make_server(self):
        import vault

        vault.time = CoarseClock
        return vault.Vault()

    def another_process(self, sink):
        from sink import VaultSink

        return VaultSink(self.server.url)

    def leftovers(self, sink):
        return list(self.server.blobs)

    def store_something_else(self, sink):
        self.server.blobs["a report"] = bytearray(b"stored by another program")

    def damage_store(self, sink, by):
        for blob in self.server.blobs.values():
            blob[:] = blob[:by] if by < 0 else blob + b"?"


class TestHttpSink(OnServer):
    #: The store fails in more ways than one.
    outages = itertools.cycle([503, 429, 500, 408])

    def make_server(self):
        import store

        store.time = CoarseClock
        return store.Store()

    def another_process(self, sink):
        from sink import HttpSink

        return HttpSink(self.server.url)

    def leftovers(self, sink):
        return [*self.server.parts, *self.server.files]

    def store_something_else(self, sink):
        self.server.files["a report"] = b"stored by another program"

    def damage_store(self, sink, by):
        for parts in self.server.parts.values():
            for name, part in parts.items():
                parts[name] = part[:by] if by < 0 else part + b"?"
