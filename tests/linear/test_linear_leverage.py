"""Leverages of more than two classes: the covariances HC2 and HC3 by their definition, and what they must not mind."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from problems import drawn

from service import LogisticRegression
from service.linear.checks import Labels
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import Factor, factorise
from service.linear.leverage import curvature_root, left_out_residuals, unbiased_residuals
from service.linear.link import softmax
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective, others
from service.linear.sandwich import robust_covariance

# The power of I - WQ that a residual is multiplied by.
POWERS = {"hc2": mpmath.mpf(-0.5), "hc3": mpmath.mpf(-1)}


def brute_force(X: Matrix, y: Labels, weights: Vector, w: Matrix, reference: int, kind: str) -> Matrix:
    """The covariance of the logits against a reference class in 40 digits: K - 1 logits, plain inverses, matrix roots.

    w: (K, p + 1), the intercept last.
    """
    others = [k for k in range(len(w)) if k != reference]
    rows = [mpmath.matrix([*row, 1.0]) for row in X.tolist()]
    p = [_shares([mpmath.fdot(row, mpmath.matrix(logit)) for logit in w.tolist()]) for row in rows]
    curvatures = [mpmath.diag([one[k] for k in others]) - _outer([one[k] for k in others]) for one in p]
    H = mpmath.zeros(len(others) * len(rows[0]))
    for s, W, x in zip(weights.tolist(), curvatures, rows, strict=True):
        H += s * _kron(W, x * x.T)
    middle = mpmath.zeros(H.rows)
    for i, (s, W, x) in enumerate(zip(weights.tolist(), curvatures, rows, strict=True)):
        A = _kron(mpmath.eye(len(others)), x)
        r = mpmath.matrix([p[i][k] - (y[i] == k) for k in others])
        rest = mpmath.eye(len(others)) - s * W * A.T * H**-1 * A
        g = s * A * ((rest if kind == "hc3" else mpmath.sqrtm(rest)) ** -1 * r)
        middle += g * g.T
    return np.array((H**-1 * middle * H**-1).tolist(), dtype=np.float64)


def _shares(logits: list[mpmath.mpf]) -> list[mpmath.mpf]:
    powers = [mpmath.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def _outer(values: list[mpmath.mpf]) -> mpmath.matrix:
    return mpmath.matrix(values) * mpmath.matrix(values).T


def _kron(left: mpmath.matrix, right: mpmath.matrix) -> mpmath.matrix:
    found = mpmath.matrix(left.rows * right.rows, left.cols * right.cols)
    for i in range(found.rows):
        for j in range(found.cols):
            found[i, j] = left[i // right.rows, j // right.cols] * right[i % right.rows, j % right.cols]
    return found


@pytest.mark.parametrize("kind", ["hc2", "hc3"])
@pytest.mark.parametrize("reference", [0, 2])
def test_three_classes_are_the_definition_against_any_reference(kind: str, reference: int) -> None:
    """HC2 and HC3 are (I - WQ)^-½ and (I - WQ)⁻¹ by roots and inverses in 40 digits, whichever class is the reference."""
    X, y = drawn(24, 2, 3, spread=0.5)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 24)
    model = LogisticRegression(C=math.inf, covariance=kind, tol=1e-13).fit(X, y, weights)

    with mpmath.workdps(40):
        w = np.column_stack([model.coef_, model.intercept_])
        expected = brute_force(X, y, weights, w, reference, kind)

    contrast = np.kron(np.delete(np.eye(3) - np.eye(3)[reference], reference, axis=0), np.eye(3))
    size = np.sqrt(np.diag(expected))
    found = contrast @ model.covariance_ @ contrast.T
    # The condition of H is some 1e3.
    np.testing.assert_allclose(found / size / size[:, None], expected / size / size[:, None], atol=1e-11)


@pytest.mark.parametrize("kind", ["hc0", "hc1", "hc2", "hc3"])
@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_softmax_of_two_classes_is_the_sigmoid(kind: str, l2: float) -> None:
    """With K = 2 and twice the penalty, the difference of the two logits has the covariance of the sigmoid's logit."""
    X, y = drawn(60, 2)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, 60)
    model = LogisticRegression(C=1 / l2 if l2 else math.inf, covariance=kind, tol=1e-13).fit(X, y, weights)
    w = np.append(model.coef_[0], model.intercept_)
    as_softmax = SoftmaxObjective(Rows(DenseColumns(X), weights, np.full(2, 2 * l2), fit_intercept=True), y, 2)

    covariance = robust_covariance(as_softmax, np.concatenate([-w / 2, w / 2]), kind)

    contrast = np.kron([[-1.0, 1.0]], np.eye(3))
    np.testing.assert_allclose(contrast @ covariance @ contrast.T, model.covariance_, rtol=1e-9)


@pytest.mark.parametrize("kind", ["hc2", "hc3"])
@given(order=st.permutations(range(4)))
def test_the_order_of_the_classes_does_not_matter(kind: str, order: list[int]) -> None:
    """Classes in another order have the same covariance in that order."""
    X, y = drawn(50, 2, 4)
    plain = LogisticRegression(C=10.0, covariance=kind).fit(X, y)

    moved = LogisticRegression(C=10.0, covariance=kind).fit(X, np.argsort(order)[y])

    blocks = moved.covariance_.reshape(4, 3, 4, 3)
    np.testing.assert_allclose(plain.covariance_.reshape(4, 3, 4, 3)[order][:, :, order], blocks, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("K", [2, 3])
def test_an_offset_is_part_of_the_logits(K: int) -> None:
    """Residuals with an offset are those with a column in its place whose coefficients no row can move."""
    X, y = drawn(40, 3, K)
    w = np.random.default_rng(5).normal(size=(1 if K == 2 else K, 4))
    free, offset = np.delete(w, 2, axis=1).ravel(), np.outer(X[:, 2], w[:, 2])
    rows, whole = (
        Rows(DenseColumns(columns), np.ones(40), np.zeros(columns.shape[1]), fit_intercept=True)
        for columns in (X[:, :2], X)
    )
    held = SoftmaxObjective(rows, y, K, offset) if K > 2 else BinaryObjective(rows, y.astype(np.float64), offset[:, 0])
    fixed = SoftmaxObjective(whole, y, K) if K > 2 else BinaryObjective(whole, y.astype(np.float64))
    factor = factorise(held.value_gradient_hessian(free)[2])
    stiff = Factor(np.insert(factor.F.reshape(len(w), 3, -1), 2, 0.0, axis=1).reshape(w.size, -1), 1.0)

    found = *left_out_residuals(held, free, factor), unbiased_residuals(held, free, factor)

    expected = *left_out_residuals(fixed, w.ravel(), stiff), unbiased_residuals(fixed, w.ravel(), stiff)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(st.lists(st.floats(-1000, 1000), min_size=2, max_size=5))
def test_the_root_of_the_curvature_is_one(logits: list[float]) -> None:
    """GGᵀ = diag(p) - ppᵀ to some eps of its diagonal, for probabilities as close to 0 and 1 as doubles are."""
    p = softmax(np.array([logits]))

    (G,) = curvature_root(p)

    W = np.diag((p * others(p))[0]) - np.triu(np.outer(p, p), 1)
    W += np.triu(W, 1).T
    size = np.sqrt(np.diag(W))
    # Below 1e-290 the products of probabilities lose digits to underflow.
    assert (np.abs(G @ G.T - W) <= 1e-14 * np.outer(size, size) + 1e-290).all()


@pytest.mark.parametrize("K", [2, 3])
def test_a_row_that_alone_has_a_direction_gives_finite_numbers(K: int) -> None:
    """Where a leverage is 1 to the last bit, residuals are finite: huge, and of the same sign as before."""
    X = np.zeros((30, 1))
    X[0] = 1e6
    y = np.arange(30) % K
    w = np.zeros(2 if K == 2 else 2 * K)
    rows = Rows(DenseColumns(X), np.ones(30), np.zeros(1), fit_intercept=True)
    objective = SoftmaxObjective(rows, y, K) if K > 2 else BinaryObjective(rows, y.astype(np.float64))
    factor = factorise(objective.value_gradient_hessian(w)[2])

    left_out, unbiased = left_out_residuals(objective, w, factor)[0], unbiased_residuals(objective, w, factor)

    assert np.isfinite(left_out).all()
    assert np.isfinite(unbiased).all()
    assert np.abs(left_out[0]).max() > np.abs(unbiased[0]).max() > 1e3
    assert (np.sign(left_out[1:]) == np.sign(unbiased[1:])).all()
