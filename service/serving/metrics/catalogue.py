"""Every metric of the service, one row each; the exposition and ``docs/metrics.md`` are made from this list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# The label value of what came after the last place of a metric.
OTHER = "(other)"
NONE = "(none)"
PUBLISHED = "published"
PHASES = ("parse", "predict", "encode")


class Kind(StrEnum):
    """How a number behaves, in the words of the Prometheus text format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    buckets: upper bounds, each one inclusive; the bucket without a bound is not listed.
    max_series: label sets that one worker may count; all others count together under ``OTHER``.  0: not counted, but
    looked up at the scrape.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    max_series: int = 1

    @property
    def width(self) -> int:
        """Cells of one series: a number, or each bucket by itself, that without a bound, and the sum."""
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else 1


REQUEST_BUCKETS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
PHASE_BUCKETS = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0)
TRAINING_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
# Finer towards 1, where the classes that win mostly are.
PROBABILITY_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)

ROUTE = ("http_request_method", "http_route", "http_response_status_code")
VERSION = ("model", "version")
MAX_VERSIONS = 100

REQUESTS = Metric(
    "http_server_request_duration_seconds",
    Kind.HISTOGRAM,
    "From a request's first byte to its answer's last, by route template.",
    ROUTE,
    REQUEST_BUCKETS,
    max_series=256,
)
ACTIVE = Metric("http_server_active_requests", Kind.GAUGE, "Requests being answered now.")
REJECTIONS = Metric(
    "logitd_rejections_total", Kind.COUNTER, "Answers that were a problem, by its type.", ("reason",), max_series=128
)
PREDICTIONS = Metric(
    "logitd_predictions_total", Kind.COUNTER, "Requests that a version predicted for.", VERSION, max_series=MAX_VERSIONS
)
ROWS = Metric(
    "logitd_prediction_rows_total", Kind.COUNTER, "Rows that a version predicted.", VERSION, max_series=MAX_VERSIONS
)
PHASE_SECONDS = Metric(
    "logitd_prediction_phase_duration_seconds",
    Kind.HISTOGRAM,
    "Parts of the work on one prediction request: parse, predict, encode.",
    ("phase",),
    PHASE_BUCKETS,
    max_series=len(PHASES),
)
PROBABILITY = Metric(
    "logitd_prediction_probability",
    Kind.HISTOGRAM,
    "Probability of the most likely class; of a request with many rows, an even sample of them.",
    VERSION,
    PROBABILITY_BUCKETS,
    max_series=MAX_VERSIONS,
)
RELOADS = Metric(
    "logitd_model_reloads_total",
    Kind.COUNTER,
    "Versions that an alias brought into a worker's memory, or failed to.",
    ("outcome",),
    max_series=2,
)
TRAININGS = Metric(
    "logitd_trainings_total",
    Kind.COUNTER,
    "Trainings over HTTP: published, or the type of the problem.",
    ("outcome",),
    max_series=128,
)
TRAINING_SECONDS = Metric(
    "logitd_training_duration_seconds",
    Kind.HISTOGRAM,
    "Trainings over HTTP that published a version, from the body to the answer.",
    buckets=TRAINING_BUCKETS,
)
MODEL_INFO = Metric(
    "logitd_model_info",
    Kind.GAUGE,
    "1 for each version in the memory of the worker that answers, with the aliases that lead to it.",
    (*VERSION, "alias", "created_at"),
    max_series=0,
)
BUILD_INFO = Metric("logitd_build_info", Kind.GAUGE, "1; the release that runs.", ("version",), max_series=0)
WORKERS = Metric("logitd_workers", Kind.GAUGE, "Workers that live.", max_series=0)
CPU = Metric(
    "process_cpu_seconds_total",
    Kind.COUNTER,
    "CPU time of a worker and of those whose place it took.",
    ("worker",),
    max_series=0,
)
RESIDENT = Metric("process_resident_memory_bytes", Kind.GAUGE, "Memory that a worker holds.", ("worker",), max_series=0)
VIRTUAL = Metric("process_virtual_memory_bytes", Kind.GAUGE, "Addresses that a worker maps.", ("worker",), max_series=0)
OPEN_FDS = Metric(
    "process_open_fds", Kind.GAUGE, "Files and sockets that a worker has open.", ("worker",), max_series=0
)
STARTED = Metric(
    "process_start_time_seconds", Kind.GAUGE, "When a worker started, in Unix time.", ("worker",), max_series=0
)

METRICS = (
    *(REQUESTS, ACTIVE, REJECTIONS),
    *(PREDICTIONS, ROWS, PHASE_SECONDS, PROBABILITY),
    *(RELOADS, MODEL_INFO, TRAININGS, TRAINING_SECONDS),
    *(BUILD_INFO, WORKERS, CPU, RESIDENT, VIRTUAL, OPEN_FDS, STARTED),
)
BY_NAME = {metric.name: metric for metric in METRICS}
