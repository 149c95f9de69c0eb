"""Metrics that are right with several workers: cheap counters in shared memory, shown in the Prometheus text format."""

from service.serving.metrics.catalogue import METRICS, PHASES
from service.serving.metrics.exposition import CONTENT_TYPE
from service.serving.metrics.metrics import Metrics

__all__ = ["CONTENT_TYPE", "METRICS", "PHASES", "Metrics"]
