"""What the portable tests share: the solvers that promise the optimum, and what a fit of theirs comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from service import LogisticRegression
from service.linear.columns.arrays import Matrix
from service.linear.solvers import SOLVERS

# An L1 penalty has problems and tests of its own.
OPTIMAL = tuple(solver.name for solver in SOLVERS if solver.promises_optimum and solver.name != "prox-newton")
every_solver = pytest.mark.parametrize("solver", OPTIMAL)
two_or_three_classes = pytest.mark.parametrize("K", [2, 3])

# A relative gap of 1e-13 leaves some √(2e-13 P / λmin(H)), 1e-6 of a coefficient here; most solvers end far below.
TOL, CLOSE = 1e-13, 1e-6


def cases(table: Mapping[str, object]) -> list[Any]:
    """The values of a table as parameters of a test, named by its keys."""
    return [pytest.param(value, id=name) for name, value in table.items()]


def fit(X: Any, y: Any, weights: Any = None, **options: Any) -> LogisticRegression:
    """A fit to a gap of ``TOL``, certified."""
    model = LogisticRegression(**{"tol": TOL, **options}).fit(X, y, weights)
    assert model.certificate_.status == "optimal"
    return model


def parameters(model: LogisticRegression) -> Matrix:
    """(k, p + 1), the intercept last."""
    return np.column_stack([model.coef_, model.intercept_])


def bits(model: LogisticRegression) -> bytes:
    """All numbers of a fit: parameters, certificate, the curve, and the covariance if there is one."""
    certificate = model.certificate_
    numbers = [model.coef_, model.intercept_, model.loss_curve_, getattr(model, "covariance_", np.zeros(0))]
    ends = np.array([certificate.objective, certificate.gap_bound, certificate.rank, certificate.passes])
    return b"".join(array.tobytes() for array in [*numbers, ends])


def largest_distance(model: LogisticRegression) -> float:
    """√(2 C gap) ≥ ‖coef - coef*‖, by the strong convexity of the penalty."""
    return math.sqrt(2.0 * model.C * model.certificate_.gap_bound)
