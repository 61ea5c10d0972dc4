"""Our own sinks hold the contract."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from djust_uploads import MemorySink, Sink, SinkWriter, TemporaryFileSink
from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.files import LocalFile
from djust_uploads.flow.gathering import GATHER
from djust_uploads.sinks import base
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

    def damage_store(self, sink, by):
        for path in self.directory.iterdir():
            os.truncate(path, max(0, path.stat().st_size + by))

    def another_process(self, sink):
        return TemporaryFileSink(self.directory)


def folder_sink():
    """The sink that the docstring of ``sinks.base`` shows."""
    code = inspect.getdoc(base).partition("::\n")[2].partition("\nWhat a sink can rely on")[0]
    names = {
        "Sink": Sink,
        "SinkWriter": SinkWriter,
        "LocalFile": LocalFile,
        "Path": Path,
        "asyncio": asyncio,
    }
    exec(textwrap.dedent(code), names)
    return names["FolderSink"]


class TestSinkOfTheDocstring(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path):
        return folder_sink()(tmp_path)


def test_the_testing_package_needs_neither_pytest_nor_websockets():
    code = """
        import sys
        sys.modules.update({"pytest": None, "websockets": None, "blockbuster": None})
        from djust_uploads.testing import RecordingSink, UploadClient, UploadFailed
        try:
            from djust_uploads.testing import SinkContract
        except ImportError as exc:
            assert "pytest" in str(exc), exc
        else:
            raise AssertionError("imported without pytest")
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True)
