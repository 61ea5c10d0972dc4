"""``PrometheusMetrics``: counts uploads for Prometheus, and ``metrics``, the view that shows them.

https://prometheus.io/docs/practices/naming/ has the conventions of the names.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import threading
import time
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from django.http import HttpRequest, HttpResponse

from ..exceptions import UploadError
from ..flow.budget import budget
from ..lifecycle.notifying import observers
from ..settings import upload_settings
from ..slots.entry import UploadEntry
from .ticker import Ticker
from .tracking import TrackingObserver

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
    from prometheus_client.registry import Collector
except ImportError as _missing:
    raise ImportError(
        "PrometheusMetrics needs prometheus_client: pip install 'djust-uploads[prometheus]'"
    ) from _missing

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

#: Seconds of whole uploads.
_UPLOAD_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

#: Seconds of calls to sinks.
_CALL_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

#: Seconds from which on a write is in the histogram. Shorter ones only add to what a sink gathers.
WAIT = 0.001

#: Seconds between two samples of the gauges in Prometheus' multiprocess mode, where a scrape does
#: not reach all processes.
SAMPLE_INTERVAL = 1.0


def _multiprocess_directory() -> str | None:
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


class _Instruments:
    """The metrics, each registered once in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(
                f"djust_uploads_{name}",
                text,
                labels,
                registry=registry,
                multiprocess_mode="livesum",
            )

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"djust_uploads_{name}", text, labels, registry=registry)

        self.active = gauge("active", "Uploads on their way, with a connection.", "slot")
        self.parked = gauge("parked", "Uploads that wait for their clients.", "slot")
        self.unconsumed = gauge("unconsumed", "Complete uploads that wait.", "slot")
        self.buffered = gauge("buffered_bytes", "Bytes that no sink has taken yet.")
        self.sending = gauge("sending_bytes", "Bytes that sinks have on their way to a store.")
        self.buffer_limit = gauge("buffer_limit_bytes", "MAX_BUFFERED_BYTES of the processes.")
        self.started = counter("started", "Uploads that have started.", "slot")
        self.refused = counter("refused", "Files that slots did not take.", "slot", "code")
        self.resumed = counter("resumed", "Times that a connection went on.", "slot")
        self.suspended = counter("suspended", "Uploads left to other processes.", "slot")
        self.completed = counter("completed", "Uploads whose files are stored.", "slot", "sink")
        self.consumed = counter("consumed", "Complete uploads that were taken.", "slot", "sink")
        self.cancelled = counter("cancelled", "Uploads that were cancelled.", "slot", "sink")
        self.failed = counter("failed", "Uploads that failed.", "slot", "sink", "code")
        self.written = counter("written_bytes", "Bytes that sinks have taken.", "slot", "sink")
        self.duration = Histogram(
            "djust_uploads_duration_seconds",
            "Seconds from the start of an upload, or its last resumption, until it is stored.",
            ("sink",),
            buckets=_UPLOAD_BUCKETS,
            registry=registry,
        )
        self.calls = Histogram(
            "djust_uploads_sink_call_seconds",
            "Seconds that calls to sinks took. Writes of less than 1 ms are not among them.",
            ("sink", "operation"),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self.writes = counter("sink_writes", "Writes to sinks.", "sink")
        self.write_seconds = counter("sink_write_seconds", "Seconds that writes took.", "sink")
        self.call_errors = counter(
            "sink_call_errors", "Calls to sinks that failed.", "sink", "operation", "error"
        )


class _Sampler(Collector):
    """Brings the metrics up to date when they are scraped. It is registered before them."""

    def __init__(self) -> None:
        self.metrics: PrometheusMetrics | None = None

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        if self.metrics:
            self.metrics.sample()
        return ()


#: What is registered in each registry: a metric can be registered only once.
_registered: WeakKeyDictionary[CollectorRegistry, tuple[_Sampler, _Instruments]] = (
    WeakKeyDictionary()
)


def _instruments(registry: CollectorRegistry) -> tuple[_Sampler, _Instruments]:
    if registry not in _registered:
        sampler = _Sampler()
        registry.register(sampler)
        _registered[registry] = sampler, _Instruments(registry)
    return _registered[registry]


class PrometheusMetrics(TrackingObserver):
    """Counts the uploads of this process in the metrics of ``prometheus_client``.

    They are in the library's default registry, so whatever serves that one serves them too. With
    ``PROMETHEUS_MULTIPROC_DIR``, a scrape shows the sum of all processes.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__()
        sampler, self._metrics = _instruments(registry)
        sampler.metrics = self
        self._slots: set[str] = set()
        #: By slot and sink: the writes so far, and those that the counters have.
        self._written: defaultdict[tuple[str, str], _Written] = defaultdict(_Written)
        self._counted: defaultdict[tuple[str, str], _Written] = defaultdict(_Written)
        self._sampling = threading.Lock()
        self._ticker = Ticker(SAMPLE_INTERVAL, self._tick, "upload-metrics")

    def sample(self) -> None:
        """Set the gauges, and count the writes. May be called in any thread."""
        with self._sampling:
            self._sample_uploads()
            self._sample_writes()

    def _sample_uploads(self) -> None:
        counts = Counts(
            (entry.upload_name, self.state(entry, parked))
            for entry, parked in list(self.uploads.items())
        )
        self._slots |= {slot for slot, _state in counts}
        metrics = self._metrics
        for slot in list(self._slots):
            metrics.active.labels(slot).set(counts[slot, "active"])
            metrics.parked.labels(slot).set(counts[slot, "parked"])
            metrics.unconsumed.labels(slot).set(counts[slot, "complete"])
        metrics.buffered.set(budget.buffered)
        metrics.sending.set(budget.sending)
        metrics.buffer_limit.set(upload_settings().max_buffered_bytes)

    def _tick(self) -> bool:
        self.sample()
        return bool(self.uploads)

    def changed(self) -> None:
        if _multiprocess_directory():
            self._ticker.wake()

    def refused(self, entry: UploadEntry, error: UploadError) -> None:
        self._metrics.refused.labels(entry.upload_name, error.code).inc()

    def started(self, entry: UploadEntry) -> None:
        super().started(entry)
        self._metrics.started.labels(entry.upload_name).inc()

    def resumed(self, entry: UploadEntry) -> None:
        super().resumed(entry)
        if not entry.complete:
            self._metrics.resumed.labels(entry.upload_name).inc()

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        super().suspended(entry, reason)
        self._metrics.suspended.labels(entry.upload_name).inc()

    def completed(self, entry: UploadEntry) -> None:
        super().completed(entry)
        self._metrics.completed.labels(entry.upload_name, entry.sink_name).inc()
        seconds = time.monotonic() - entry.begun_at
        self._metrics.duration.labels(entry.sink_name).observe(seconds)

    def consumed(self, entry: UploadEntry) -> None:
        super().consumed(entry)
        self._metrics.consumed.labels(entry.upload_name, entry.sink_name).inc()

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        super().cancelled(entry, reason)
        self._metrics.cancelled.labels(entry.upload_name, entry.sink_name).inc()

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        super().failed(entry, error)
        self._metrics.failed.labels(entry.upload_name, entry.sink_name, error.code).inc()

    def called_sink(
        self, entry: UploadEntry, operation: str, seconds: float, size: int, error: str
    ) -> None:
        if operation == "write" and not error:
            # This is called for every chunk. What a sample adds up costs less than a metric.
            written = self._written[entry.upload_name, entry.sink_name]
            written.calls += 1
            written.seconds += seconds
            written.bytes += size
            if seconds < WAIT:
                return
        self._metrics.calls.labels(entry.sink_name, operation).observe(seconds)
        if error:
            self._metrics.call_errors.labels(entry.sink_name, operation, error).inc()

    def _sample_writes(self) -> None:
        for (slot, sink), written in list(self._written.items()):
            now = copy.copy(written)
            before, self._counted[slot, sink] = self._counted[slot, sink], now
            self._metrics.writes.labels(sink).inc(now.calls - before.calls)
            self._metrics.write_seconds.labels(sink).inc(now.seconds - before.seconds)
            self._metrics.written.labels(slot, sink).inc(now.bytes - before.bytes)


@dataclass
class _Written:
    """All writes of a slot to a sink."""

    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0


async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape with all metrics of this process, or of all processes.

    It is a view for ``urls.py``. Anybody who can ask for it sees the names of slots and sinks, so
    let only Prometheus do so.
    """
    # A process that has had no uploads yet shows its metrics too.
    observers()
    accept = request.headers.get("Accept", "")
    # Collectors of other libraries may block.
    content, content_type = await asyncio.to_thread(_exposition, accept)
    return HttpResponse(content, content_type=content_type)


def _exposition(accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    registry = REGISTRY
    if directory := _multiprocess_directory():
        _forget_dead(Path(directory))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
    return encode(registry), content_type


def _forget_dead(directory: Path) -> None:
    """Remove the gauges of processes that have ended without a word.

    gunicorn tells of them, and uvicorn does not.
    """
    for path in directory.glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
