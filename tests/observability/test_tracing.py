"""Spans of uploads, as OpenTelemetry's SDK exports them."""

from __future__ import annotations

import pytest
from django.test import override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from djust_uploads.exceptions import SinkFull
from djust_uploads.resuming.parking import Parking
from djust_uploads.testing import RecordingSink
from djust_uploads.uploads import process
from tests.support.connection import Connection
from tests.support.interrupted import DATA, connect, send_some

_exporter = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider():
    """The SDK's provider. A process can have only one."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans():
    """The spans that have ended, by name."""
    _exporter.clear()
    paths = ["djust_uploads.observability.OpenTelemetrySpans"]
    with override_settings(DJUST_UPLOADS={"OBSERVERS": paths}):
        yield lambda: {span.name: span for span in _exporter.get_finished_spans()}


class SpanningSink(RecordingSink):
    """A sink whose SDK makes spans."""

    async def open(self, upload):
        with trace.get_tracer("sdk").start_as_current_span("request to the store"):
            return await super().open(upload)


async def test_an_upload_and_the_calls_to_its_sink(spans):
    with trace.get_tracer("tests").start_as_current_span("request") as request:
        async with Connection(sink=SpanningSink()) as page:
            await page.upload(bytes(1000))
            [entry] = page.entries()
    upload = spans()["upload files"]
    assert upload.parent.span_id == request.get_span_context().span_id
    seconds = upload.attributes["djust_uploads.write_seconds"]
    assert 0 < seconds < 10
    assert dict(upload.attributes) == {
        "file.size": 1000,
        "djust_uploads.id": entry.ref,
        "djust_uploads.slot": "files",
        "djust_uploads.resumed": False,
        "djust_uploads.ending": "completed",
        "djust_uploads.sink": f"{__name__}.SpanningSink",
        "djust_uploads.received_bytes": 1000,
        "djust_uploads.write_seconds": seconds,
    }
    assert [event.name for event in upload.events] == ["finalizing"]
    for name in ("sink open", "sink finish", "request to the store"):
        assert spans()[name].parent.span_id == upload.context.span_id, name
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_failure_and_an_interruption(spans, monkeypatch):
    async with Connection(sink=RecordingSink(fail={"finish": SinkFull("disk 7")})) as page:
        await page.upload(bytes(1000))
    upload, finish = spans()["upload files"], spans()["sink finish"]
    assert upload.attributes["error.type"] == "storage_full"
    assert (upload.status.status_code.name, upload.status.description) == ("ERROR", "disk 7")
    assert finish.attributes["error.type"] == "SinkFull"
    monkeypatch.setattr(process, "parking", Parking())
    async with connect(RecordingSink()) as page:
        ref = await send_some(page)
    async with connect(RecordingSink()) as page:
        await page.go_on(await page.resume(ref), DATA)
    upload = spans()["upload files"]
    assert [event.name for event in upload.events] == ["parked", "resumed", "finalizing"]
