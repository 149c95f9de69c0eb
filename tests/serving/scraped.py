"""What tests of the metrics have in common: the exposition as numbers."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from service.serving.metrics import Metrics
from service.serving.registry import LoadedModels

NOTHING = LoadedModels()


def scrape(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, as they are written."""
    lines = metrics.text(NOTHING).decode().splitlines()
    return {sample: float(value) for sample, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def samples(metrics: Metrics, name: str) -> dict[str, float]:
    """The samples of one metric."""
    return {sample: value for sample, value in scrape(metrics).items() if sample.startswith(name)}


def growing(metrics: Metrics) -> dict[str, float]:
    """The samples that may only grow: those of counters and histograms."""
    families = text_string_to_metric_families(metrics.text(NOTHING).decode())
    names = {sample.name for family in families if family.type != "gauge" for sample in family.samples}
    return {sample: value for sample, value in scrape(metrics).items() if sample.partition("{")[0] in names}
