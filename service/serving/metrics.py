"""Counters of one app, in the Prometheus text format; passed in, never global, so that tests can build many apps."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """What happened since the start.  Labels are bounded: routes by template, never by what a client sent."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        route = ("method", "route")
        self.requests = Counter(
            "logitd_http_requests", "Answers by route template and status.", (*route, "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "logitd_http_request_duration_seconds",
            "From the first byte of the request to the last of the answer.",
            route,
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rows = Counter("logitd_predicted_rows", "Rows predicted.", ("model", "version"), registry=self._registry)
        self.in_flight = Gauge("logitd_http_requests_in_flight", "Requests being answered.", registry=self._registry)
        self.trainings = Counter("logitd_trainings", "Trainings by outcome.", ("outcome",), registry=self._registry)
        self.failed_reloads = Gauge(
            "logitd_failed_reloads", "Versions that could not be loaded since the start.", registry=self._registry
        )
        build = Gauge("logitd_build_info", "The release that runs.", ("version",), registry=self._registry)
        build.labels(version).set(1)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests.labels(method, route, status).inc()
        self.seconds.labels(method, route).observe(seconds)

    def predicted(
        self, model: str, version: int, certainties: Sequence[float], parse: float, predict: float, encode: float
    ) -> None:
        self.rows.labels(model, version).inc(len(certainties))

    def rejected(self, slug: str) -> None:
        pass

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
