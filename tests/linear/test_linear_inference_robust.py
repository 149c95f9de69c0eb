"""Robust covariances, recomputed in 80 bits from the fit alone, and by statsmodels where it has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from problems import Problem, Wide, drawn, solve_semidefinite, value_gradient_hessian

from service import LogisticRegression
from service.errors import InvalidParameter
from service.linear.after_fit import cluster_covariance
from service.linear.checks import Labels
from service.linear.columns.arrays import Matrix

# Both stop at a gradient of 1e-12 and less; the curvatures here are above 1e-3.
CLOSE = 1e-8
KINDS = ("observed", "hc0", "hc1", "hc2", "hc3")


def spector() -> tuple[Matrix, Labels]:
    data = sm.datasets.spector.load_pandas()
    return np.asarray(data.exog, dtype=np.float64), np.asarray(data.endog).astype(np.intp)


def wide_covariance(problem: Problem, model: LogisticRegression, kind: str) -> Wide:
    """V = (H + Λ)⁻¹ M (H + Λ)⁻¹ with M = Σ c s² r² x xᵀ by its definition, two classes, at the model's coefficients."""
    w = np.append(model.coef_[0], model.intercept_).astype(np.longdouble)
    total = value_gradient_hessian(problem, w)[2]
    inverse = np.array([solve_semidefinite(total, unit) for unit in np.eye(len(w), dtype=np.longdouble)])
    X = np.column_stack([problem.X, np.ones(len(problem.X))]).astype(np.longdouble)
    s = problem.sample_weight.astype(np.longdouble)
    p = 1 / (1 + np.exp(-X @ w))
    h = s * p * (1 - p) * np.einsum("ia,ab,ib->i", X, inverse, X)
    n, k = X.shape
    c = {"hc0": 1 + 0 * h, "hc1": n / np.longdouble(n - k) + 0 * h, "hc2": 1 / (1 - h), "hc3": 1 / (1 - h) ** 2}
    middle = (X.T * s * p * (1 - p)) @ X if kind == "observed" else (X.T * c[kind] * (s * (problem.y - p)) ** 2) @ X
    return np.asarray(inverse @ middle @ inverse, dtype=np.longdouble)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("C", [math.inf, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_five_covariances_of_spector_are_their_formulas(kind: str, C: float, *, weighted: bool) -> None:
    """Each covariance of the Spector fit is its definition in 80 bits, with and without penalty and weights."""
    X, y = spector()
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    problem = Problem("spector", X, y, C=C, weights=weights)

    model = LogisticRegression(C=C, covariance=kind).fit(X, y, weights)

    expected = wide_covariance(problem, model, kind).astype(np.float64)
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(model.standard_errors_, size, rtol=CLOSE)
    np.testing.assert_allclose(model.covariance_ / size / size[:, None], expected / size / size[:, None], atol=CLOSE)


def test_hc0_is_that_of_statsmodels() -> None:
    """HC0 of the Spector fit is statsmodels' ``cov_type="HC0"``; HC1 is that times n / (n - k)."""
    X, y = spector()
    # statsmodels 0.15 gives discrete models the errors of HC0 under each of its names, HC1 to HC3 included.
    theirs = sm.Logit(y, sm.add_constant(X, prepend=False)).fit(disp=0, method="newton", tol=1e-14, cov_type="HC0")

    hc0, hc1 = (LogisticRegression(C=math.inf, covariance=kind).fit(X, y) for kind in ("hc0", "hc1"))

    np.testing.assert_allclose(hc0.standard_errors_, theirs.bse, rtol=CLOSE)
    np.testing.assert_allclose(hc1.standard_errors_, theirs.bse * math.sqrt(32 / 28), rtol=CLOSE)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("C", [math.inf, 2.0])
def test_hc3_is_the_jackknife_of_one_step(K: int, C: float) -> None:
    """HC3 is the sum of squares of what one Newton step without a row moves the fit by, over all rows."""
    X, y = drawn(50, 2, K)
    weights = np.random.default_rng(4).uniform(0.5, 2.0, 50)
    model = LogisticRegression(C=C, covariance="hc3", tol=1e-12).fit(X, y, weights)
    w = np.column_stack([model.coef_, model.intercept_]).ravel().astype(np.longdouble)

    steps = []
    for kept in ~np.eye(50, dtype=np.bool_):
        left_out = Problem("left-out", X[kept], y[kept], C=C, weights=weights[kept])
        _, gradient, hessian = value_gradient_hessian(left_out, w)
        steps.append(left_out.objective.centred(solve_semidefinite(hessian, gradient).astype(np.float64)))

    np.testing.assert_allclose(np.transpose(steps) @ steps, model.covariance_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["hc0", "hc1"])
def test_three_classes_have_their_scores_in_blocks(kind: str) -> None:
    """The sandwich of softmax, seen in differences to the first class, is that of statsmodels' MNLogit."""
    X, y = drawn(300, 3, 3)
    theirs = sm.MNLogit(y, sm.add_constant(X, prepend=False)).fit(disp=0, method="newton", tol=1e-14, cov_type="HC0")

    ours = LogisticRegression(C=math.inf, covariance=kind).fit(X, y)

    contrast = np.kron(np.column_stack([-np.ones(2), np.eye(2)]), np.eye(4))
    errors = np.sqrt(np.diag(contrast @ ours.covariance_ @ contrast.T)).reshape(2, 4).T
    small_sample = math.sqrt(300 / (300 - 8)) if kind == "hc1" else 1.0
    np.testing.assert_allclose(errors, theirs.bse * small_sample, rtol=CLOSE)


@pytest.mark.parametrize(
    ("kind", "theirs_by", "factor"),
    [("observed", "nonrobust", 1.0), ("hc0", "HC0", 1.0), ("hc1", "HC0", 944 / (944 - 36))],
)
def test_anes96_is_that_of_statsmodels(kind: str, theirs_by: str, factor: float) -> None:
    """Seven parties of anes96: differences to the first, and their standard errors, are those of MNLogit."""
    data = sm.datasets.anes96.load_pandas()
    X, y = np.asarray(data.exog, dtype=np.float64), np.asarray(data.endog).astype(np.intp)
    peer = sm.MNLogit(y, sm.add_constant(X, prepend=False))
    theirs = peer.fit(disp=0, method="newton", tol=1e-14, cov_type=theirs_by)

    ours = LogisticRegression(C=math.inf, covariance=kind).fit(X, y)

    w = np.column_stack([ours.coef_, ours.intercept_])
    contrast = np.kron(np.column_stack([-np.ones(6), np.eye(6)]), np.eye(6))
    errors = np.sqrt(np.diag(contrast @ ours.covariance_ @ contrast.T)).reshape(6, 6).T
    np.testing.assert_allclose((w[1:] - w[0]).T, theirs.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(errors, theirs.bse * math.sqrt(factor), rtol=CLOSE)


@pytest.mark.parametrize("K", [2, 3])
def test_clusters_are_those_of_statsmodels(K: int) -> None:
    """The clustered covariance is statsmodels' without its own factor, times G / (G - 1)."""
    X, y = drawn(120, 2, K)
    groups = np.random.default_rng(3).integers(0, 15, 120)
    kind = sm.Logit if K == 2 else sm.MNLogit
    kwds = {"groups": groups, "use_correction": False}
    design = sm.add_constant(X, prepend=False)
    theirs = kind(y, design).fit(disp=0, method="newton", tol=1e-14, cov_type="cluster", cov_kwds=kwds)
    model = LogisticRegression(C=math.inf).fit(X, y)

    ours = cluster_covariance(model, X, y, [f"school {group}" for group in groups])

    contrast = np.kron(np.column_stack([-np.ones(K - 1), np.eye(K - 1)]), np.eye(3)) if K > 2 else np.eye(3)
    errors = np.sqrt(np.diag(contrast @ ours @ contrast.T) * 14 / 15)
    np.testing.assert_allclose(errors, np.asarray(theirs.bse).T.ravel(), rtol=CLOSE)


@pytest.mark.parametrize(("C", "fit_intercept"), [(1.0, True), (math.inf, False)])
def test_a_cluster_for_each_row_is_hc0(C: float, *, fit_intercept: bool) -> None:
    """With n clusters of one row the clustered covariance is HC0 times n / (n - 1), class weights included."""
    X, y = drawn(60, 2)
    model = LogisticRegression(C=C, fit_intercept=fit_intercept, class_weight="balanced", covariance="hc0").fit(X, y)

    clustered = cluster_covariance(model, X, y, np.arange(60))

    np.testing.assert_allclose(clustered, model.covariance_ * 60 / 59, rtol=CLOSE, atol=1e-12)


def test_what_has_no_robust_covariance_is_refused() -> None:
    """HC1 without spare rows, one cluster, and other rows are InvalidParameter."""
    X, y = drawn(40, 2, 3)
    binary = LogisticRegression().fit(X, y > 0)

    with pytest.raises(InvalidParameter, match="more rows than the 10 free parameters"):
        LogisticRegression(covariance="hc1").fit(*drawn(10, 25))
    with pytest.raises(InvalidParameter, match="at least two clusters"):
        cluster_covariance(binary, X, y > 0, np.zeros(40))
    with pytest.raises(InvalidParameter, match="one label for each of the 40 rows"):
        cluster_covariance(binary, X, y > 0, np.zeros(39))
    with pytest.raises(InvalidParameter, match="not the rows of the fit: other classes"):
        cluster_covariance(binary, X, y, np.arange(40))
    with pytest.raises(InvalidParameter, match="not the rows of the fit: their likelihood"):
        cluster_covariance(binary, X + 1.0, y > 0, np.arange(40))
