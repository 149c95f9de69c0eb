"""More columns than rows: the problem in the span of the rows has the same optimum, certified for the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import REFERENCE_ERROR, Problem, drawn, reference_optimum

from service.errors import InvalidParameter
from service.linear.certificate import design_rank
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix
from service.linear.estimator import LogisticRegression
from service.linear.objective import Rows
from service.linear.solver import Status
from service.linear.solvers import Newton, RowSpace

WIDE = [
    Problem(f"{n_classes} classes, intercept {intercept}", *drawn(12, 20, n_classes, seed=8), 0.3, None, intercept)
    for n_classes in (2, 3)
    for intercept in (True, False)
]


@pytest.mark.parametrize("problem", WIDE, ids=str)
def test_the_bound_is_that_of_the_whole_problem(problem: Problem) -> None:
    """The certified gap is within the tolerance, and the true one, in 80 bits, below it."""
    solution = RowSpace().minimise(problem.objective, np.zeros(problem.objective.n_params))

    assert solution.status is Status.OPTIMAL
    assert solution.gap_relative <= 1e-10
    assert problem.true_gap(solution.w) <= solution.gap_bound + REFERENCE_ERROR * float(reference_optimum(problem))


@pytest.mark.parametrize("problem", WIDE, ids=str)
def test_row_space_equals_newton(problem: Problem) -> None:
    """Newton on all columns finds the same parameters."""
    start = np.zeros(problem.objective.n_params)

    ours = RowSpace(tol=1e-14).minimise(problem.objective, start).w
    newton = Newton(tol=1e-14).minimise(problem.objective, start).w

    np.testing.assert_allclose(problem.objective.centred(ours), problem.objective.centred(newton), rtol=0, atol=1e-9)


@pytest.mark.parametrize("repeated", [1, 2])
def test_auto_takes_it_where_columns_outnumber_rows(repeated: int) -> None:
    """With p > n and a penalty "auto" says so; repeated rows, which lower the rank, do no harm."""
    rng = np.random.default_rng(0)
    X: Matrix = np.tile(rng.normal(size=(30, 500)), (repeated, 1))
    y = np.tile(rng.integers(0, 2, 30), repeated)

    model = LogisticRegression(C=0.1).fit(X, y)

    assert model.certificate_.solver == "row-space"
    assert model.certificate_.reason == f"500 columns, {30 * repeated} rows: their span is smaller"
    assert model.certificate_.rank == 30
    np.testing.assert_allclose(model.coef_, LogisticRegression(C=0.1, solver="newton").fit(X, y).coef_, atol=1e-7)


def test_without_a_penalty_it_is_refused() -> None:
    """The span of the rows holds the optimum for the sake of the penalty only."""
    X, y = drawn(12, 20, 2, seed=8)

    with pytest.raises(InvalidParameter, match="row-space"):
        LogisticRegression(C=math.inf, solver="row-space").fit(X, y)


@pytest.mark.parametrize("unit", [1.0, 1e120, 1e-120])
def test_rank_of_wide_rows_does_not_depend_on_units(unit: float) -> None:
    """Independent rows have full rank, whatever overflows in their Gram matrix, and a repeated row lowers it."""
    X = np.random.default_rng(3).normal(size=(6, 40)) * np.where(np.arange(40) % 2, unit, 1.0)

    def rank(matrix: Matrix) -> int:
        return design_rank(Rows(DenseColumns(matrix), np.ones(len(matrix)), np.ones(40), fit_intercept=False))

    assert rank(X) == 6
    assert rank(np.vstack([X, X[:1]])) == 6
