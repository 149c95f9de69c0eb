"""What a peer is: a name, an adapter, and the shapes that it solves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any, TypeAlias

import numpy as np

from benchmarks.training.objective import Coefficients
from benchmarks.training.problem import Problem

Fit: TypeAlias = Callable[[], Coefficients]
Rows: TypeAlias = Callable[[], tuple[Any, Any]]
# From a problem and a tolerance to the fit that is measured.
Prepare: TypeAlias = Callable[[Problem, float], Fit]

N_THREADS = 2
DECADES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to train.

    package: "distribution" or "distribution as module".  prepare: from (problem, tolerance) to the fit.
    usual: shapes of the default set; also: those that it can do, where it is known to be slow.
    ladder: tolerances, from loose to tight.
    """

    name: str
    package: str
    prepare: Prepare
    usual: str
    also: str = ""
    ladder: tuple[float, ...] = DECADES
    note: str = ""

    @property
    def distribution(self) -> str:
        """What is installed."""
        return self.package.partition(" as ")[0]

    @property
    def version(self) -> str | None:
        """The installed version; None when the peer is missing."""
        return metadata.version(self.distribution) if util.find_spec(self.package.rpartition(" as ")[2]) else None

    def takes(self, shape: str, *, by_default: bool) -> bool:
        """Whether it is run on a shape: by default, or when asked for by name."""
        return shape in self.usual.split() or (not by_default and shape in self.also.split())


def ready(problem: Problem, convert: Callable[[Problem], tuple[Any, Any]]) -> Rows:
    """Rows and labels in the form that a peer likes best, made before the measured time.

    Rows in a file are read, and converted, anew by each fit: there training includes reading.
    """
    if problem.in_file:
        return lambda: convert(problem)
    rows = convert(problem)
    return lambda: rows


def fitted(model: Any, rows: Rows) -> Fit:
    """The fit of anything with ``fit``, ``coef_`` and ``intercept_`` to what ``rows`` gives."""

    def fit() -> Coefficients:
        model.fit(*rows())
        return Coefficients(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_))

    return fit
