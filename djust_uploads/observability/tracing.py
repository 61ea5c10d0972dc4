"""``OpenTelemetrySpans``: a span for each upload, with the calls to its sink.

Attributes follow the semantic conventions where those have them
(https://opentelemetry.io/docs/specs/semconv/): ``file.size`` and ``error.type``. The others begin
with ``djust_uploads.``. The client's name of the file is not among them: it is personal.
"""

from __future__ import annotations

import time
from typing import Any

from ..exceptions import UploadError
from ..lifecycle.observer import Observer
from ..slots.entry import UploadEntry

try:
    from opentelemetry import context, trace
    from opentelemetry.trace import Span, StatusCode
except ImportError as _missing:
    raise ImportError(
        "OpenTelemetrySpans needs opentelemetry-api: pip install 'djust-uploads[opentelemetry]'"
    ) from _missing

#: Writes are too many for a span each. The span of the upload counts them.
_WRITE = "write"


class OpenTelemetrySpans(Observer):
    """Makes a span of each upload, from its start or resumption to its end in this process.

    Its parent is the span of the connection or the request, if there is one. Spans that a sink's
    SDK makes have it as their parent. The application configures OpenTelemetry's SDK, which says
    where the spans go. Without an SDK nothing is recorded.
    """

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("djust_uploads")
        self._spans: dict[UploadEntry, Span] = {}
        self._write_seconds: dict[UploadEntry, float] = {}

    def started(self, entry: UploadEntry) -> None:
        self._begin(entry, resumed=False)

    def resumed(self, entry: UploadEntry) -> None:
        if span := self._spans.get(entry):
            span.add_event("resumed")
        elif not entry.complete:
            self._begin(entry, resumed=True)

    def parked(self, entry: UploadEntry) -> None:
        if span := self._spans.get(entry):
            span.add_event("parked")

    def finalizing(self, entry: UploadEntry) -> None:
        if span := self._spans.get(entry):
            span.add_event("finalizing")

    def completed(self, entry: UploadEntry) -> None:
        self._end(entry, "completed")

    def failed(self, entry: UploadEntry, error: UploadError) -> None:
        if span := self._spans.get(entry):
            span.set_attribute("error.type", error.code)
            span.set_status(StatusCode.ERROR, str(error))
        self._end(entry, "failed")

    def cancelled(self, entry: UploadEntry, reason: str) -> None:
        self._end(entry, "cancelled")

    def suspended(self, entry: UploadEntry, reason: str) -> None:
        self._end(entry, "suspended")

    def called_sink(
        self, entry: UploadEntry, operation: str, seconds: float, size: int, error: str
    ) -> None:
        span = self._spans.get(entry)
        if span is None:
            return
        if operation == _WRITE:
            self._write_seconds[entry] = self._write_seconds.get(entry, 0.0) + seconds
            if not error:
                return
        self._record_call(span, entry, operation, seconds, error)

    def _record_call(
        self, span: Span, entry: UploadEntry, operation: str, seconds: float, error: str
    ) -> None:
        attributes = {"djust_uploads.sink": entry.sink_name}
        now = time.time_ns()
        call = self._tracer.start_span(
            f"sink {operation}",
            trace.set_span_in_context(span),
            attributes=attributes,
            start_time=now - int(seconds * 1e9),
        )
        if error:
            call.set_attribute("error.type", error)
            call.set_status(StatusCode.ERROR)
        call.end(now)

    def _begin(self, entry: UploadEntry, *, resumed: bool) -> None:
        attributes: dict[str, Any] = {
            "file.size": entry.client_size,
            "djust_uploads.id": entry.ref,
            "djust_uploads.slot": entry.upload_name,
            "djust_uploads.resumed": resumed,
        }
        span = self._tracer.start_span(f"upload {entry.upload_name}", attributes=attributes)
        self._spans[entry] = span
        # The core calls this in the context of the upload's task, which ends with the upload.
        context.attach(trace.set_span_in_context(span))

    def _end(self, entry: UploadEntry, ending: str) -> None:
        span, seconds = self._spans.pop(entry, None), self._write_seconds.pop(entry, 0.0)
        if span is None:
            return
        span.set_attributes(
            {
                "djust_uploads.ending": ending,
                "djust_uploads.sink": entry.sink_name,
                "djust_uploads.received_bytes": entry.received - entry.received_before,
                "djust_uploads.write_seconds": seconds,
            }
        )
        span.end()
