"""The Prometheus text of the numbers of all workers, written by prometheus-client's own code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric as Family
from prometheus_client.registry import Collector

from service.serving.metrics.catalogue import (
    BUILD_INFO,
    BY_NAME,
    CPU,
    METRICS,
    MODEL_INFO,
    OPEN_FDS,
    RESIDENT,
    STARTED,
    VIRTUAL,
    WORKERS,
    Kind,
    Metric,
)
from service.serving.metrics.slots import Worker
from service.serving.registry import LoadedModels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The cells of each series of one metric, by label values.
Samples: TypeAlias = dict[tuple[str, ...], list[float]]


def exposition(workers: list[Worker], loaded: LoadedModels, version: str) -> bytes:
    """The text.  loaded: what the worker that answers has in memory; version: the release that runs."""
    samples: dict[str, Samples] = {metric.name: {} for metric in METRICS}
    add_counted(samples, workers)
    for worker in workers:
        add_process(samples, worker)
    samples[MODEL_INFO.name] = {labels: [1.0] for labels in model_labels(loaded)}
    samples[BUILD_INFO.name] = {(version,): [1.0]}
    samples[WORKERS.name] = {(): [float(sum(worker.is_live for worker in workers))]}
    return generate_latest(Families(samples))


def add_counted(samples: Mapping[str, Samples], workers: Iterable[Worker]) -> None:
    """Sum up the cells of all workers; gauges are of those that live."""
    for worker in workers:
        for (name, labels), cells in worker.slot.totals().items():
            if BY_NAME[name].kind is Kind.GAUGE and not worker.is_live:
                continue
            before = samples[name].get(labels)
            added = cells.tolist()
            samples[name][labels] = added if before is None else [a + b for a, b in zip(before, added, strict=True)]


def add_process(samples: Mapping[str, Samples], worker: Worker) -> None:
    """What one worker uses; of a slot that nobody holds, the CPU time that was used in it."""
    labels, process = (str(worker.number),), worker.process
    if process is None and worker.slot.cpu_seconds == 0.0:
        return
    samples[CPU.name][labels] = [worker.slot.cpu_seconds]
    if process is None:
        return
    samples[RESIDENT.name][labels] = [process.resident_bytes]
    samples[VIRTUAL.name][labels] = [process.virtual_bytes]
    samples[STARTED.name][labels] = [process.started_at()]
    n_open = process.n_open_fds()
    if n_open is not None:
        samples[OPEN_FDS.name][labels] = [float(n_open)]


def model_labels(loaded: LoadedModels) -> Iterator[tuple[str, ...]]:
    """The label values of ``MODEL_INFO``; a version asked for by number has no alias."""
    for aliases in loaded.aliases.values():
        for alias, stored in aliases.versions.items():
            manifest = stored.manifest
            yield manifest.name, str(manifest.version), alias, manifest.created_at.isoformat()
    for stored in loaded.pinned.values():
        manifest = stored.manifest
        yield manifest.name, str(manifest.version), "", manifest.created_at.isoformat()


class Families(Collector):
    """The samples in the form that prometheus-client writes."""

    def __init__(self, samples: Mapping[str, Samples]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        """Every metric, those without samples too."""
        for metric in METRICS:
            yield family(metric, self._samples[metric.name])


def family(metric: Metric, samples: Samples) -> Family:
    """One metric with its samples, in the order of their labels."""
    if metric.kind is Kind.HISTOGRAM:
        return histogram(metric, samples)
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    made = make(metric.name, metric.help, labels=metric.labels)
    for labels, (value,) in sorted(samples.items()):
        made.add_metric(labels, value)
    return made


def histogram(metric: Metric, samples: Samples) -> HistogramMetricFamily:
    """A histogram; its buckets are counted one by one, and shown as Prometheus has them: each with those below."""
    bounds = [*map(repr, metric.buckets), "+Inf"]
    made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, (*counts, total) in sorted(samples.items()):
        made.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return made
