"""The HTTP sink holds the contract."""

import contextlib
import itertools
import threading

import pytest
from sink import PART, HttpSink
from store import Store

from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.testing import SinkContract


@pytest.fixture
def store():
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever, args=(0.01,))
        thread.start()
        yield store
        store.shutdown()
        thread.join()


class TestHttpSink(SinkContract):
    part_size = PART
    resumable = True
    store_error = SinkUnavailable
    page_size = 10
    max_buffered = 2 * PART

    @pytest.fixture
    def sink(self, store):
        self.store = store
        return HttpSink(store.url)

    def another_process(self, sink):
        return HttpSink(self.store.url)

    def leftovers(self, sink):
        return [*self.store.parts, *self.store.files]

    #: A store fails in more ways than one.
    outages = itertools.cycle([503, 429, 500, 408])
    refusals = itertools.cycle([403, 401])

    @contextlib.contextmanager
    def failing_store(self, sink, status=None):
        self.store.broken = status or next(self.outages)
        yield
        self.store.broken = None

    def refusing_store(self, sink):
        return self.failing_store(sink, next(self.refusals))

    def damage_store(self, sink, by):
        for parts in self.store.parts.values():
            for name, part in parts.items():
                parts[name] = part[:by] if by < 0 else part + b"?"

    def store_something_else(self, sink):
        self.store.files["a report"] = b"stored by another program"
