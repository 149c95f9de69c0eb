"""Distributed traces: the header ``traceparent`` in log lines, and a span for each answer when spans are switched on.

Source: W3C Trace Context; OpenTelemetry's semantic conventions for HTTP servers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Protocol

# Later versions of the header may say more behind the flags; version ff and ids of zeros are invalid.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class Spans(Protocol):
    """Where the spans of answers go."""

    def record(self, method: str, route: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        """An answer that is complete now and took so long; ``headers`` of its request may continue a trace."""


def request_fields(request_id: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The fields of a log line that belongs to a request: its id, and its trace's where the client sent one."""
    found = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return {"request_id": request_id, "trace_id": found[1]} if found else {"request_id": request_id}


class OpenTelemetrySpans:
    """Spans by an OpenTelemetry tracer.  They are made when the answer is complete, so that the answer waits for none."""

    def __init__(self, tracer: Any) -> None:
        # Here and not above: the package is not needed where spans are off.
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 — the reason is above
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._tracer = tracer
        self._kind = SpanKind.SERVER
        self._failure = Status(StatusCode.ERROR)
        self._extract = TraceContextTextMapPropagator().extract

    def record(self, method: str, route: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        """See ``Spans``."""
        end = time.time_ns()
        parent = {"traceparent": headers.get("traceparent", ""), "tracestate": headers.get("tracestate", "")}
        span = self._tracer.start_span(
            f"{method} {route}",
            context=self._extract(parent),
            kind=self._kind,
            start_time=end - int(seconds * 1e9),
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            },
        )
        if status >= 500:
            span.set_status(self._failure)
        span.end(end_time=end)
