"""How rows are cut into blocks and lanes, and how many threads work on them, is no part of the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from portable import OPTIMAL, bits, cases, every_solver, fit, parameters, two_or_three_classes
from problems import drawn

from service.linear import lanes
from service.linear.checks import Labels
from service.linear.columns import dense
from service.linear.columns.arrays import Matrix, Vector
from service.linear.solvers import GradientDescent, newton

# Columns as they are, and columns so far from 0 that the fit brings them to scale first.
every_shift = pytest.mark.parametrize("shift", [0.0, 1000.0], ids=["near", "far"])
# Rows are cut into blocks of 256 at least.
HEIGHTS = {"lowest": 1, "as the width": 4096, "odd": 7777, "higher than the rows": 1 << 24}


def weighted(n: int, p: int, K: int, shift: float = 0.0) -> tuple[Matrix, Labels, Vector]:
    X, y = drawn(n, p, K, seed=9, spread=0.5)
    return X + shift, y, np.random.default_rng(9).uniform(0.1, 3.0, n)


def cut(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    """Blocks of so many numbers, and twice as many where a block is only read."""
    monkeypatch.setattr(dense, "GRAM_NUMBERS", numbers)
    monkeypatch.setattr(dense, "PASS_NUMBERS", 2 * numbers)


@pytest.mark.parametrize("numbers", cases(HEIGHTS))
@two_or_three_classes
@every_solver
def test_the_optimum_does_not_depend_on_blocks(
    monkeypatch: pytest.MonkeyPatch, numbers: int, solver: str, K: int
) -> None:
    """Blocks of any size give the same certified optimum: P within the gaps, and parameters to their rounding."""
    n = 400 if solver == "row-space" else 2000
    X, y, s = weighted(n, 6, K)
    whole = fit(X, y, s, solver=solver)

    cut(monkeypatch, numbers)
    blocked = fit(X, y, s, solver=solver)

    objectives, gaps = zip(
        *[(model.certificate_.objective, model.certificate_.gap_bound) for model in (whole, blocked)], strict=True
    )
    # Sums in another order differ by their rounding, of P and of its gradient.
    assert abs(objectives[0] - objectives[1]) <= max(gaps) + 1e-14 * objectives[0]
    np.testing.assert_allclose(parameters(blocked), parameters(whole), atol=1e-9)


@pytest.mark.parametrize("C", [1.0, math.inf])
@two_or_three_classes
@every_shift
def test_a_kept_metric_does_not_depend_on_blocks(
    monkeypatch: pytest.MonkeyPatch, shift: float, C: float, K: int
) -> None:
    """Where the metric of a sample is kept, blocks of any size lead to the same optimum too."""
    monkeypatch.setattr(newton, "CHEAP_HESSIAN", 0.0)
    X, y, s = weighted(3000, 5, K, shift)
    models = []

    for numbers in HEIGHTS.values():
        cut(monkeypatch, numbers)
        models.append(fit(X, y, s, C=C))

    for model in models[1:]:
        # On the scale of the columns; far intercepts are a thousand times that.
        np.testing.assert_allclose(model.coef_, models[0].coef_, atol=1e-6)
        np.testing.assert_allclose(model.predict_proba(X), models[0].predict_proba(X), atol=1e-6)


PATHS: dict[str, tuple[str, int, int, float]] = {
    **{f"{solver}, long": (solver, 400, 6, math.inf) for solver in OPTIMAL},
    **{f"{solver}, wide": (solver, 60, 90, math.inf) for solver in OPTIMAL},
    "newton in a kept metric": ("newton", 2000, 6, 0.0),
}


@pytest.mark.parametrize(("solver", "n", "p", "cheap"), PATHS.values(), ids=PATHS)
@two_or_three_classes
@every_shift
def test_threads_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, solver: str, n: int, p: int, cheap: float, K: int, shift: float
) -> None:
    """One, two and four threads give the same bytes of parameters, certificate, curve and covariance, by every solver."""
    monkeypatch.setattr(lanes, "NUMBERS_PER_LANE", n * p // 6)
    monkeypatch.setattr(newton, "CHEAP_HESSIAN", cheap)
    X, y, s = weighted(n, p, K, shift)
    fits = []

    for threads in (1, 2, 4):
        monkeypatch.setattr(lanes, "n_processors", lambda threads=threads: threads)
        fits.append(bits(fit(X, y, s, solver=solver, covariance="observed")))

    assert len(lanes.in_lanes(n, p, lambda lane: lane)) > 4
    assert len(set(fits)) == 1


@two_or_three_classes
def test_threads_change_no_bit_of_gradient_descent(monkeypatch: pytest.MonkeyPatch, K: int) -> None:
    """Gradient descent comes to the same bytes on any number of threads."""
    monkeypatch.setattr(lanes, "NUMBERS_PER_LANE", 600)
    X, y, s = weighted(600, 6, K)
    options: dict[str, Any] = {"solver": GradientDescent.name, "tol": 1e-3, "covariance": "hc0"}
    fits = []

    for threads in (1, 2, 4):
        monkeypatch.setattr(lanes, "n_processors", lambda threads=threads: threads)
        fits.append(bits(fit(X, y, s, **options)))

    assert len(set(fits)) == 1


@two_or_three_classes
@every_solver
def test_the_number_of_lanes_leaves_the_optimum(monkeypatch: pytest.MonkeyPatch, solver: str, K: int) -> None:
    """Rows in one lane or in eight have the same optimum, though not the same bits."""
    X, y, s = weighted(300, 6, K)
    one = fit(X, y, s, solver=solver)

    monkeypatch.setattr(lanes, "NUMBERS_PER_LANE", 1)
    eight = fit(X, y, s, solver=solver)

    np.testing.assert_allclose(parameters(eight), parameters(one), atol=1e-9)
