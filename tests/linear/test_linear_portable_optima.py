"""Optima that are known by construction, in closed form, or in a limit, are found by every solver that promises them.

The constructions are in the spirit of scikit-learn's tests of generalised linear models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from portable import CLOSE, every_solver, fit, largest_distance, parameters, two_or_three_classes
from problems import drawn, entropy

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.link import softmax

# Rounding of raw coefficients of size 1.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Known:
    """Rows of which each occurs once with every label, weighted, and the optimum: coef (k, p), intercept (k,), P*."""

    name: str
    X: Matrix
    y: Index
    weights: Vector
    C: float
    fit_intercept: bool
    coef: Matrix
    intercept: Vector
    probabilities: Matrix
    objective: float

    def __str__(self) -> str:
        return self.name

    @property
    def optimum(self) -> Matrix:
        return np.column_stack([self.coef, self.intercept])


def known(n: int, p: int, K: int, *, fit_intercept: bool, is_penalised: bool = True) -> Known:
    """Choose what the residuals are, and make labels of them.

    For residuals A (n, K) with sum 0 over classes and, with an intercept, over rows, take β = C Aᵀx summed over rows,
    any b, and labels in shares t = p(β, b) + A / s: the gradient Σ s (p - t) x + β / C is 0, and so is Σ s (p - t).
    Without a penalty A is 0, and β is free.
    """
    rng = np.random.default_rng(n + K)
    X, s = rng.normal(size=(n, p)), rng.uniform(0.5, 2.0, n)
    A = rng.uniform(-0.02, 0.02, (n, K))
    A -= A.mean(axis=1, keepdims=True)
    A -= A.mean(axis=0) * fit_intercept
    free = slice(1, None) if K == 2 else slice(None)
    direction = A.T @ X
    # The penalty at which the logits are moderate, so that all shares are above 0.
    C = 1.5 / float(np.abs(X @ direction.T).max())
    coef, intercept = np.zeros((K, p)), np.zeros(K)
    coef[free] = C * direction[free]
    intercept[free] = np.linspace(-0.3, 0.3, K)[free] * fit_intercept
    p_true = softmax(X @ coef.T + intercept)
    shares = p_true + (A / s[:, None] if is_penalised else 0.0)
    assert shares.min() > 0
    penalty = 0.5 / C * float((coef**2).sum()) if is_penalised else 0.0
    return Known(
        f"{n}x{p}, {K} classes, {'with' if fit_intercept else 'no'} intercept",
        X.repeat(K, axis=0),
        np.tile(np.arange(K), n),
        (s[:, None] * shares).ravel(),
        C if is_penalised else math.inf,
        fit_intercept,
        coef[free],
        intercept[free],
        p_true,
        penalty - float((s[:, None] * shares * np.log(p_true)).sum()),
    )


SHAPES = [(n, p, K, intercept) for n, p in ((40, 4), (8, 20)) for K in (2, 3) for intercept in (True, False)]
PENALISED = [known(n, p, K, fit_intercept=intercept) for n, p, K, intercept in SHAPES]
UNPENALISED = [known(n, p, K, fit_intercept=intercept, is_penalised=False) for n, p, K, intercept in SHAPES]
LONG, WIDE = ([case for case in UNPENALISED if (case.X.shape[1] < 8) is is_long] for is_long in (True, False))
every_known = pytest.mark.parametrize("case", PENALISED, ids=str)


@every_known
@every_solver
def test_the_constructed_optimum_is_found(solver: str, case: Known) -> None:
    """Coefficients are as close to the constructed ones as the certificate says, and P is within its gap of P*."""
    model = fit(case.X, case.y, case.weights, C=case.C, fit_intercept=case.fit_intercept, solver=solver)

    assert np.linalg.norm(model.coef_ - case.coef) <= largest_distance(model) + ROUNDING
    assert abs(model.certificate_.objective - case.objective) <= model.certificate_.gap_bound + ROUNDING
    np.testing.assert_allclose(parameters(model), case.optimum, atol=CLOSE)


@every_known
@every_solver
def test_columns_twice_at_half_share_the_coefficients(solver: str, case: Known) -> None:
    """[X, X] / 2 with twice the C has the coefficients of X twice, though its columns are collinear."""
    model = fit(
        np.hstack([case.X, case.X]) / 2,
        case.y,
        case.weights,
        C=2 * case.C,
        fit_intercept=case.fit_intercept,
        solver=solver,
    )

    np.testing.assert_allclose(model.coef_, np.hstack([case.coef, case.coef]), atol=CLOSE)
    np.testing.assert_allclose(model.intercept_, case.intercept, atol=CLOSE)


@every_known
@every_solver
def test_rows_twice_at_half_weight_are_the_rows(solver: str, case: Known) -> None:
    """[X; X] with half the weights, in any order, has the optimum of X."""
    order = np.random.default_rng(0).permutation(2 * len(case.X))
    X, y, weights = np.tile(case.X, (2, 1)), np.tile(case.y, 2), np.tile(case.weights / 2, 2)

    model = fit(X[order], y[order], weights[order], C=case.C, fit_intercept=case.fit_intercept, solver=solver)

    np.testing.assert_allclose(parameters(model), case.optimum, atol=CLOSE)


@every_known
@every_solver
def test_labels_that_say_everything_say_nothing(solver: str, case: Known) -> None:
    """Rows that occur with every label alike leave coefficients and intercepts of 0."""
    model = fit(case.X, case.y, C=case.C, fit_intercept=case.fit_intercept, solver=solver)

    np.testing.assert_allclose(parameters(model), 0.0, atol=ROUNDING)


@every_solver
def test_mirrored_rows_need_no_intercept(solver: str) -> None:
    """[X; -X] with y and 1 - y has an intercept of 0, and the coefficients of X with twice the C and no intercept."""
    X, y = drawn(60, 4)

    mirrored = fit(np.vstack([X, -X]), np.append(y, 1 - y), solver=solver)

    plain = fit(X, y, C=2.0, fit_intercept=False, solver=solver)
    np.testing.assert_allclose(mirrored.coef_, plain.coef_, atol=CLOSE)
    np.testing.assert_allclose(mirrored.intercept_, 0.0, atol=CLOSE)


@pytest.mark.parametrize("case", LONG, ids=str)
def test_the_constructed_optimum_is_found_without_a_penalty(case: Known) -> None:
    """With shares that are probabilities of a model, that model is the unpenalised optimum."""
    model = fit(case.X, case.y, case.weights, C=math.inf, fit_intercept=case.fit_intercept)

    np.testing.assert_allclose(parameters(model), case.optimum, atol=CLOSE)
    assert model.certificate_.separation == "none"


@pytest.mark.parametrize("case", LONG, ids=str)
def test_columns_twice_without_a_penalty_leave_the_logits(case: Known) -> None:
    """Unpenalised, [X, X] / 2 has many optima; the one found gives the probabilities of X, and the rank tells."""
    doubled = np.hstack([case.X, case.X]) / 2

    model = fit(doubled, case.y, case.weights, C=math.inf, fit_intercept=case.fit_intercept)

    once, again = np.split(model.coef_, 2, axis=1)
    np.testing.assert_allclose((once + again) / 2, case.coef, atol=CLOSE)
    assert model.certificate_.rank == case.X.shape[1] + case.fit_intercept


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_wide_rows_without_a_penalty_give_the_shares_back(case: Known) -> None:
    """With more columns than different rows, unpenalised probabilities are the labels' shares; P* is their entropy."""
    model = fit(case.X, case.y, case.weights, C=math.inf, fit_intercept=case.fit_intercept)

    K = case.probabilities.shape[1]
    np.testing.assert_allclose(model.predict_proba(case.X)[::K], case.probabilities, atol=CLOSE)
    assert model.certificate_.objective == pytest.approx(case.objective, rel=1e-12)


def test_in_a_saturated_design_two_classes_do_not_see_the_third() -> None:
    """A column a cell gives the cells' frequencies, so that the contrast of two classes is the fit of these alone."""
    counts = np.array([[4, 7, 3], [8, 2, 5], [3, 3, 9]])
    cells, labels = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    X = np.eye(3)[cells]

    all_three = fit(X, labels, C=math.inf, fit_intercept=False)

    pair = fit(X[labels < 2], labels[labels < 2], C=math.inf, fit_intercept=False)
    np.testing.assert_allclose(all_three.coef_[1] - all_three.coef_[0], pair.coef_[0], atol=CLOSE)
    np.testing.assert_allclose(pair.coef_[0], np.log(counts[:, 1] / counts[:, 0]), atol=CLOSE)
    assert all_three.certificate_.objective == pytest.approx(sum(entropy(*row) for row in counts), rel=1e-12)


@two_or_three_classes
@every_solver
@pytest.mark.parametrize("C", [1e-6, 1e-2, 1.0, 1e2, 1e4])
def test_coefficients_are_the_residuals_in_the_columns(C: float, solver: str, K: int) -> None:
    """At the optimum coef = C Σ s (y - p) x for every class, and Σ s (y - p) = 0."""
    X, y = drawn(80, 4, K, seed=4)
    s = np.random.default_rng(4).uniform(0.1, 3.0, 80)

    model = fit(X, y, s, C=C, solver=solver)

    residual = s[:, None] * (np.eye(K)[y] - model.predict_proba(X))
    coef = (C * residual.T @ X)[1 if K == 2 else 0 :]
    # The difference is C ∇P, and the gap of a penalised fit is C/2 ‖∇P‖² or what bounds that.
    assert np.linalg.norm(model.coef_ - coef) <= largest_distance(model) + ROUNDING * max(C, 1.0)
    np.testing.assert_allclose(residual.sum(axis=0), 0.0, atol=CLOSE * s.sum())


@two_or_three_classes
@every_solver
def test_with_a_vanishing_c_only_the_base_rates_are_left(solver: str, K: int) -> None:
    """As C → 0, coef / C tends to Σ s (y - share) x, and the intercept to the log-odds of the weighted shares."""
    X, y = drawn(80, 4, K, seed=4)
    s = np.random.default_rng(4).uniform(0.1, 3.0, 80)

    model = fit(X, y, s, C=1e-12, solver=solver)

    share = np.bincount(y, weights=s) / s.sum()
    coef = 1e-12 * ((s[:, None] * (np.eye(K)[y] - share)).T @ X)[1 if K == 2 else 0 :]
    far = largest_distance(model) + CLOSE * np.linalg.norm(coef)
    log_odds = np.log(share[1:] / share[0]) if K == 2 else np.log(share) - np.log(share).mean()
    assert np.linalg.norm(model.coef_ - coef) <= far
    np.testing.assert_allclose(model.intercept_, log_odds, atol=CLOSE)


@two_or_three_classes
@every_solver
def test_with_a_growing_c_the_penalty_is_forgotten(solver: str, K: int) -> None:
    """As C → ∞ the parameters tend to those of C = inf, at the rate of 1 / C."""
    X, y = drawn(200, 3, K, seed=4)
    limit = parameters(fit(X, y, C=math.inf))

    off = [np.abs(parameters(fit(X, y, C=C, solver=solver)) - limit).max() for C in (1e2, 1e4)]

    assert off[1] < 1e-3
    assert off[0] / off[1] == pytest.approx(100.0, rel=0.1)


@two_or_three_classes
@every_solver
def test_the_path_of_c_is_monotone(solver: str, K: int) -> None:
    """A larger C gives larger coefficients and a smaller loss, strictly."""
    X, y = drawn(60, 4, K, seed=4)
    models = [fit(X, y, C=C, solver=solver) for C in (1e-4, 1e-2, 1.0, 1e2, 1e4)]

    norms = [float(np.linalg.norm(model.coef_)) for model in models]
    losses = [-float(model.predict_log_proba(X)[np.arange(60), y].sum()) for model in models]

    assert all(small < large for small, large in pairwise(norms))
    assert all(before > after for before, after in pairwise(losses))
