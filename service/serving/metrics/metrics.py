"""``Metrics``: what the rest of the service calls to count, and what ``/metrics`` shows."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from service.linear.columns.arrays import Vector
from service.serving.metrics.catalogue import (
    ACTIVE,
    NONE,
    PHASE_BUCKETS,
    PHASE_SECONDS,
    PHASES,
    PREDICTIONS,
    PROBABILITY,
    PROBABILITY_BUCKETS,
    PUBLISHED,
    REJECTIONS,
    RELOADS,
    REQUEST_BUCKETS,
    REQUESTS,
    ROWS,
    TRAINING_BUCKETS,
    TRAINING_SECONDS,
    TRAININGS,
)
from service.serving.metrics.exposition import exposition
from service.serving.metrics.journal import PROBABILITY_BOUNDS
from service.serving.metrics.layout import Doubles
from service.serving.metrics.slot import Slot
from service.serving.metrics.slots import Slots
from service.serving.registry import LoadedModels, Reload

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"})
# What OpenTelemetry has instead of a method that a client made up.
OTHER_METHOD = "_OTHER"
# Of a request with more rows, every second, third, … is looked at.
SAMPLED_ROWS = 1000
MAX_KEPT = 1000

Key = TypeVar("Key")
Value = TypeVar("Value")
CountRow: TypeAlias = Callable[[float, float, float, float, float], None]


def observe(cells: Doubles, buckets: tuple[float, ...], value: float) -> None:
    """Count ``value`` in the cells of a histogram."""
    cells[bisect_left(buckets, value)] += 1.0
    cells[-1] += value


class ModelCounters:
    """What one version predicts."""

    def __init__(self, slot: Slot, name: str, version: int) -> None:
        labels = (name, str(version))
        self._requests = slot.cells(PREDICTIONS, labels)
        self._rows = slot.cells(ROWS, labels)
        self._probabilities = slot.cells(PROBABILITY, labels)
        self._phases = tuple(slot.cells(PHASE_SECONDS, (phase,)) for phase in PHASES)

    def rows(self, n_rows: int) -> None:
        """One request was predicted for, with so many rows."""
        self._requests[0] += 1.0
        self._rows[0] += n_rows

    def probability(self, probability: float) -> None:
        """The most likely class of a row has this probability."""
        observe(self._probabilities, PROBABILITY_BUCKETS, probability)

    def certainties(self, certainties: Sequence[float] | Vector) -> None:
        """The probability of each row's most likely class; of more than ``SAMPLED_ROWS`` rows an even sample counts."""
        step = -(-len(certainties) // SAMPLED_ROWS) or 1
        highest = np.asarray(certainties[::step])
        places = np.searchsorted(PROBABILITY_BOUNDS, highest)
        cells = self._probabilities
        for place, count in enumerate(np.bincount(places).tolist()):
            cells[place] += count
        cells[-1] += float(highest.sum())

    def phases(self, parse: float, predict: float, encode: float) -> None:
        """Seconds that the parts of one request took."""
        parsing, predicting, encoding = self._phases
        observe(parsing, PHASE_BUCKETS, parse)
        observe(predicting, PHASE_BUCKETS, predict)
        observe(encoding, PHASE_BUCKETS, encode)


class Metrics:
    """Counters of one app, added up over its workers at the scrape; passed in, never global.

    To be called from one thread.  No call waits, writes a file or raises for what a client sent, and labels are bounded:
    routes by template, known methods, three-digit statuses, problem types, and versions that exist.
    """

    def __init__(self, slots: Slots, version: str) -> None:
        self._slots = slots
        self._slot = slot = slots.own
        self._version = version
        self._active = slot.cells(ACTIVE)
        self._trainings = slot.cells(TRAINING_SECONDS)
        self._requests: dict[tuple[str, str | None, int], Doubles] = {}
        self._models: dict[tuple[str, int], ModelCounters] = {}
        self._rows: dict[tuple[str, str, int, str, int], CountRow] = {}
        for outcome in Reload:
            slot.first_cell(RELOADS, (str(outcome),))

    @classmethod
    def open(cls, directory: Path | None = None, *, version: str) -> Metrics:
        """Metrics shared with the other workers that have this directory; None: those of this process alone.

        Where the directory cannot be used they are those of this process, and the log says so once.
        version: the release that runs.
        """
        return cls(Slots.open(directory), version)

    def started(self) -> None:
        """A request is being answered."""
        self._active[0] += 1.0

    def ended(self) -> None:
        """A request that ``started`` is answered, or its client left."""
        self._active[0] -= 1.0

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request to this route template was answered; None: there is no such path.  status 0: the client left."""
        try:
            cells = self._requests[method, route, status]
        except KeyError:
            cells = self._slot.cells(REQUESTS, request_labels(method, route, status))
            # A client may make up methods without end.
            if method in METHODS:
                keep(self._requests, (method, route, status), cells)
        observe(cells, REQUEST_BUCKETS, seconds)

    def predicted(self, name: str, version: int) -> ModelCounters:
        """The counters of a version that exists."""
        try:
            return self._models[name, version]
        except KeyError:
            counters = ModelCounters(self._slot, name, version)
            return keep(self._models, (name, version), counters)

    def one_row(self, method: str, route: str, status: int, name: str, version: int) -> CountRow:
        """Counts one answered prediction of one row: all that ``answered`` and ``predicted`` count, in a third of the time.

        The function takes (seconds, parse, predict, encode, probability), as those do.
        """
        try:
            return self._rows[method, route, status, name, version]
        except KeyError:
            labels = (name, str(version))
            count_row: CountRow = functools.partial(
                self._slot.journal.append,
                float(self._slot.first_cell(REQUESTS, request_labels(method, route, status))),
                float(self._slot.first_cell(PREDICTIONS, labels)),
                float(self._slot.first_cell(ROWS, labels)),
                float(self._slot.first_cell(PROBABILITY, labels)),
            )
            return keep(self._rows, (method, route, status, name, version), count_row)

    def rejected(self, reason: str) -> None:
        """A request was answered with a problem of this type."""
        self._slot.cells(REJECTIONS, (reason,))[0] += 1.0

    def refusals(self, method: str, route: str, status: int, reason: str) -> Callable[[float], None]:
        """Counts one answer of this kind, with the seconds that it took: all that ``answered`` and ``rejected`` count."""
        cells = self._slot.cells(REQUESTS, request_labels(method, route, status))
        reasons = self._slot.cells(REJECTIONS, (reason,))

        def count(seconds: float) -> None:
            observe(cells, REQUEST_BUCKETS, seconds)
            reasons[0] += 1.0

        return count

    def reloaded(self, outcome: Reload) -> None:
        """See ``ModelRegistry``."""
        self._slot.cells(RELOADS, (str(outcome),))[0] += 1.0

    def trained(self, seconds: float) -> None:
        """A training published a version."""
        self._slot.cells(TRAININGS, (PUBLISHED,))[0] += 1.0
        observe(self._trainings, TRAINING_BUCKETS, seconds)

    def not_trained(self, reason: str) -> None:
        """A training was refused or failed with a problem of this type."""
        self._slot.cells(TRAININGS, (reason,))[0] += 1.0

    def text(self, loaded: LoadedModels) -> bytes:
        """The exposition in the Prometheus text format; ``loaded``: what this worker has in memory."""
        return exposition(self._slots.workers(), loaded, self._version)


def request_labels(method: str, route: str | None, status: int) -> tuple[str, str, str]:
    """The label values of an answer."""
    return (
        method if method in METHODS else OTHER_METHOD,
        NONE if route is None else route,
        str(status) if 100 <= status <= 599 else NONE,
    )


def keep(cache: dict[Key, Value], key: Key, value: Value) -> Value:
    """``value``, remembered under ``key`` while there is room."""
    if len(cache) < MAX_KEPT:
        cache[key] = value
    return value
