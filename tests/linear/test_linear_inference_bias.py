"""The bias that a penalty brings: its formula, and the slope of the fit in the strength of the penalty that it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import Problem, drawn, solve_semidefinite, value_gradient_hessian

from service import LogisticRegression


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_bias_is_its_formula(K: int, *, fit_intercept: bool) -> None:
    """-(H + Λ)⁻¹ Λ w in 80 bits, with weights, on columns whose units and means are nothing special."""
    X, y = drawn(60, 3, K)
    X, weights = 5.0 + X * [1.0, 30.0, 0.2], np.random.default_rng(1).uniform(0.5, 2.0, 60)
    problem = Problem("shrunken", X, y, C=0.5, weights=weights, fit_intercept=fit_intercept)
    model = LogisticRegression(C=0.5, covariance="observed", fit_intercept=fit_intercept, tol=1e-13).fit(X, y, weights)
    w = np.column_stack([model.coef_, model.intercept_])[:, : problem.objective.rows.width].ravel()

    hessian = value_gradient_hessian(problem, w.astype(np.longdouble))[2]
    penalty = problem.objective.l2_params.astype(np.longdouble)
    expected = problem.objective.centred(-solve_semidefinite(hessian, penalty * w).astype(np.float64))

    np.testing.assert_allclose(model.shrinkage_bias_.ravel(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("K", [2, 3])
def test_the_bias_is_the_slope_in_the_penalty(K: int) -> None:
    """λ ∂w/∂λ by differences of fits: what a penalty of 1 % more moves the fit by is a hundredth of the bias."""
    X, y = drawn(80, 2, K)

    def fitted(penalty: float) -> LogisticRegression:
        return LogisticRegression(C=1 / penalty, covariance="observed", tol=1e-14).fit(X, y)

    more, less = (np.column_stack([m.coef_, m.intercept_]) for m in (fitted(2.002), fitted(1.998)))

    slope = (more - less) / 0.004 * 2.0
    # A central difference of relative step 1e-3 is good to some 1e-6.
    np.testing.assert_allclose(fitted(2.0).shrinkage_bias_, slope.squeeze(), rtol=1e-5, atol=1e-6)


def test_the_bias_brings_the_fit_nearer_to_the_one_without_a_penalty() -> None:
    """With its bias taken off, a lightly shrunken fit is more than ten times nearer to the one without a penalty."""
    X, y = drawn(200, 3)
    whole = LogisticRegression(C=math.inf).fit(X, y).coef_[0]
    model = LogisticRegression(C=10.0, covariance="observed").fit(X, y)

    corrected = model.coef_[0] - model.shrinkage_bias_[:3]

    assert np.abs(corrected - whole).max() < 0.1 * np.abs(model.coef_[0] - whole).max()


@pytest.mark.parametrize("K", [2, 3])
def test_without_a_penalty_there_is_no_bias(K: int) -> None:
    """It is 0, shaped like the standard errors, and the table has no column of it."""
    X, y = drawn(80, 2, K)

    model = LogisticRegression(C=math.inf, covariance="hc3").fit(X, y)

    assert model.shrinkage_bias_.shape == model.standard_errors_.shape
    assert not model.shrinkage_bias_.any()
    assert not np.signbit(model.shrinkage_bias_).any()
    assert "bias" not in model.summary()
