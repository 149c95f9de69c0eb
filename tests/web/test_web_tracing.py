"""Traces: the client's trace in log lines, and a span for each answer where spans are on."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from asking import GOOD, Client, MakeClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from wire import on_wire, request

from service.cli import telemetry
from service.web.tracing import OpenTelemetrySpans, request_fields

pytest_plugins = ("served",)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where the spans of a test end."""
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> OpenTelemetrySpans:
    """Real spans of OpenTelemetry's own tracer."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OpenTelemetrySpans(provider.get_tracer("test"))


def told(span: ReadableSpan) -> tuple[str, object, object]:
    """Name, route and status of a span."""
    attributes = dict(span.attributes or {})
    return span.name, attributes["http.route"], attributes["http.response.status_code"]


@pytest.mark.parametrize("in_lane", [True, False])
def test_every_answer_is_a_span(
    *,
    in_lane: bool,
    make_client: MakeClient,
    trained_store: Path,
    spans: OpenTelemetrySpans,
    exporter: InMemorySpanExporter,
) -> None:
    """One span an answer on every way, which goes on with the client's trace and lies in the past when it is made."""
    app = make_client(trained_store, spans=spans).app
    body = json.dumps(GOOD).encode()

    with on_wire(app, in_lane=in_lane) as wire:
        wire.send(request("POST", "/predict?model=abc", {"traceparent": TRACEPARENT}, body))
        wire.send(request("GET", "/models/abc", {"traceparent": TRACEPARENT}))
        wire.send(request("POST", "/predict?model=nothing", {}, body))
        assert [wire.reply().status for _ in range(3)] == [200, 200, 404]

    done = exporter.get_finished_spans()
    assert [told(span) for span in done] == [
        ("POST /predict", "/predict", 200),
        ("GET /models/{model}", "/models/{model}", 200),
        ("POST /predict", "/predict", 404),
    ]
    for span, continues in zip(done, (True, True, False), strict=True):
        assert span.context is not None
        assert (format(span.context.trace_id, "032x") == TRACE) == continues
        assert (span.parent is not None) == continues
        assert span.start_time is not None
        assert span.end_time is not None
        assert 0 < span.end_time - span.start_time < 60e9


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (TRACEPARENT, {"trace_id": TRACE}),
        (f"cc-{TRACE}-{PARENT}-00-more", {"trace_id": TRACE}),
        *((bad, {}) for bad in ("", "00", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-x-01")),
        (TRACEPARENT + "\nforged", {}),
    ],
)
def test_log_lines_name_the_trace(header: str, trace: dict[str, str]) -> None:
    """The id of a valid header stands beside the request's; nothing of an invalid one does."""
    assert request_fields("me", {"traceparent": header}) == {"request_id": "me", **trace}


def test_a_defect_is_logged_with_its_trace(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect's line in the log leads to the request and to its trace."""
    monkeypatch.delattr("service.serving.data_plane.DataPlane.predict")

    with caplog.at_level(logging.ERROR, "logitd.web"):
        answer = client.post(
            "/predict?model=abc&explain=true", json=GOOD, headers={"traceparent": TRACEPARENT, "x-request-id": "me"}
        )

    assert answer.status_code == 500
    told = [(record.message, vars(record)["request_id"], vars(record)["trace_id"]) for record in caplog.records]
    assert told == [("a defect", "me", TRACE)]


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    """The address of an HTTP server that takes what is sent to it, and the paths that it was sent to."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 — the base class's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_the_collector_that_the_environment_names(
    collector: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an endpoint there are no spans; with one they are sent there by OTLP over HTTP."""
    url, paths = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)

    assert telemetry.spans({}) is None
    spans = telemetry.spans({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert isinstance(spans, OpenTelemetrySpans)
    spans.record("GET", "/livez", 200, 0.001, {})
    spans._tracer.span_processor.force_flush()

    assert paths == ["/v1/traces"]
