"""Spans over OpenTelemetry's protocol, when this process's environment asks for them by its standard variables."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import service
from service.web.tracing import OpenTelemetrySpans, Spans

log = logging.getLogger("logitd.telemetry")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def spans(environment: Mapping[str, str]) -> Spans | None:
    """Where spans go: to the collector that one of ``ENDPOINTS`` names, in batches and in the background; None without.

    All else, such as the sampler and the service's name, is read by OpenTelemetry itself from its variables.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 — an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning("no spans are sent: install logitd[otel]")
        return None
    named = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": "logitd"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": service.__version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetrySpans(provider.get_tracer("logitd", service.__version__))
