"""Leave-one-out from one fit, against fits that leave each row out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.estimator import LogisticRegression
from service.linear.fit import objective_of
from service.linear.leave_one_out import (
    figures,
    leave_one_out_logits,
    leave_one_out_loss,
    probabilities,
    recalibrate,
)
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective


def drawn(n_rows: int, n_columns: int, n_classes: int, seed: int = 0) -> tuple[Matrix, Index]:
    """Standard normal columns, and classes that follow them without being told apart."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_columns))
    logits = 0.6 * X @ rng.normal(size=(n_columns, n_classes))
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def standardised(X: Matrix) -> Matrix:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0), dtype=np.float64)


def fitted(
    X: Matrix, y: Index, C: float, weights: Vector | None = None, *, fit_intercept: bool = True
) -> tuple[BinaryObjective | SoftmaxObjective, Vector]:
    """The objective and its minimiser."""
    weights = np.ones(len(X)) if weights is None else weights
    model = LogisticRegression(C=C, tol=1e-13, fit_intercept=fit_intercept).fit(X, y, weights)
    l2 = np.full(X.shape[1], 0.0 if math.isinf(C) else 1.0 / C)
    w = np.column_stack([model.coef_, model.intercept_]) if fit_intercept else model.coef_
    return objective_of(Rows(DenseColumns(X), weights, l2, fit_intercept), y, int(y.max()) + 1), w.ravel()


def refitted(X: Matrix, y: Index, C: float, weights: Vector | None = None, *, fit_intercept: bool = True) -> Matrix:
    """The logits of each row by a fit without it, (n, k)."""
    weights = np.ones(len(X)) if weights is None else weights
    model = LogisticRegression(C=C, tol=1e-13, fit_intercept=fit_intercept)
    logits = []
    for row in range(len(X)):
        kept = np.arange(len(X)) != row
        logits.append(np.ravel(model.fit(X[kept], y[kept], weights[kept]).decision_function(X[row : row + 1])))
    return np.array(logits)


def mean_loss(logits: Matrix, y: Index) -> float:
    return float(-np.log(probabilities(logits)[np.arange(len(y)), y]).mean())


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.1, math.inf])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_loss_is_that_of_refits(n_classes: int, C: float, fit_intercept: bool) -> None:  # noqa: FBT001 — parametrised
    """The leave-one-out log-loss of some hundred rows is within 1e-3 of the one by a refit for each row."""
    X, y = drawn(300, 3, n_classes)

    loss = leave_one_out_loss(*fitted(X, y, C, fit_intercept=fit_intercept))

    assert loss == pytest.approx(mean_loss(refitted(X, y, C, fit_intercept=fit_intercept), y), rel=1e-3)


@pytest.mark.parametrize(("load", "C"), [(load_breast_cancer, 0.1), (load_iris, 1.0)])
def test_loss_of_real_data_is_that_of_refits(load: object, C: float) -> None:
    """With a penalty the log-losses of refits on standardised columns are met within 1e-3 on real data too."""
    data = load()  # type: ignore[operator]  # a loader of scikit-learn, which is untyped
    X, y = standardised(data.data), data.target

    loss = leave_one_out_loss(*fitted(X, y, C))

    assert loss == pytest.approx(mean_loss(refitted(X, y, C), y), rel=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_error_falls_with_the_square_of_the_rows(n_classes: int) -> None:
    """Four times the rows divide the mean error of a logit by some sixteen; a half of that is asked for."""
    errors = []
    for n_rows in (60, 240):
        X, y = drawn(n_rows, 2, n_classes, seed=2)
        logits = leave_one_out_logits(*fitted(X, y, 1.0))
        errors.append(np.abs(probabilities(logits) - probabilities(refitted(X, y, 1.0))).mean())

    assert errors[1] < errors[0] / 8


@pytest.mark.parametrize("n_classes", [2, 4])
def test_logit_is_one_newton_step_without_the_row(n_classes: int) -> None:
    """η₋ᵢ is the logit after one Newton step, from the optimum, on the objective of the other rows."""
    X, y = drawn(40, 2, n_classes)
    weights = np.random.default_rng(3).uniform(0.5, 3.0, size=40)
    objective, w = fitted(X, y, 0.7, weights)

    logits = leave_one_out_logits(objective, w)

    for row in (0, 17, 39):
        others = objective.subset(np.flatnonzero(np.arange(40) != row), np.ones(39))
        _, gradient, hessian = others.value_gradient_hessian(w)
        stepped = w - np.linalg.solve(hessian, gradient)
        expected = np.append(X[row], 1.0) @ stepped.reshape(-1, 3).T
        np.testing.assert_allclose(logits[row], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_and_penalty_scale_together(n_classes: int) -> None:
    """Weights times 7 with C divided by 7 are the same fit: no logit moves."""
    X, y = drawn(60, 2, n_classes)

    plain = leave_one_out_logits(*fitted(X, y, 1.0))
    scaled = leave_one_out_logits(*fitted(X, y, 1.0 / 7.0, np.full(60, 7.0)))

    np.testing.assert_allclose(scaled, plain, rtol=1e-7, atol=1e-9)


def test_weighted_row_is_left_out_with_all_its_weight() -> None:
    """With weights the refits leave the whole row out, and their weighted loss is met within 1e-3."""
    X, y = drawn(300, 3, 2, seed=5)
    weights = np.random.default_rng(6).integers(1, 4, size=300).astype(np.float64)
    refits = probabilities(refitted(X, y, 1.0, weights))[np.arange(300), y]

    loss = leave_one_out_loss(*fitted(X, y, 1.0, weights))

    assert loss == pytest.approx(np.average(-np.log(refits), weights=weights), rel=1e-3)


def test_softmax_of_two_classes_is_the_sigmoid() -> None:
    """The K by K formula for two classes, at half the penalty, gives the sigmoid's probabilities."""
    X, y = drawn(80, 3, 2)
    binary, w = fitted(X, y, 1.0)
    softmax = SoftmaxObjective(Rows(DenseColumns(X), np.ones(80), np.full(3, 2.0), fit_intercept=True), y, 2)

    logits = leave_one_out_logits(softmax, np.concatenate([-w / 2, w / 2]))

    expected = leave_one_out_logits(binary, w)[:, 0]
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected, rtol=1e-8, atol=1e-10)


def test_figures_are_the_metrics_of_the_logits() -> None:
    """Loss, accuracy, Brier score and AUC of weighted rows are what their formulas say."""
    logits, y = np.array([[-1.0], [0.5], [2.0], [-0.5]]), np.array([0, 0, 1, 1])
    weights = np.array([1.0, 2.0, 1.0, 4.0])
    p = 1 / (1 + np.exp(-logits[:, 0]))

    found = figures(logits, y, weights)

    assert found.log_loss == pytest.approx(-np.average(np.log(np.where(y, p, 1 - p)), weights=weights))
    assert found.accuracy == pytest.approx(2 / 8)
    assert found.brier == pytest.approx(np.average((p - y) ** 2, weights=weights))
    # Of 3 · 5 pairs by weight, the last row outranks the first, and the third row both.
    assert found.roc_auc == pytest.approx((1 * 3 + 4 * 1) / 15)


def test_recalibration_undoes_a_stretch() -> None:
    """Logits stretched and moved are told by slope and intercept; fitted ones have slope 1 and intercept 0."""
    X, y = drawn(400, 2, 2)
    model = LogisticRegression(C=math.inf, tol=1e-13).fit(X, y)
    fair = np.asarray(model.decision_function(X))

    honest, overconfident = (recalibrate(logits, y, np.ones(400)) for logits in (fair, 2 * fair + 1))

    assert honest is not None
    assert overconfident is not None
    assert (honest.slope, honest.intercept) == pytest.approx((1.0, 0.0), abs=1e-6)
    assert (overconfident.slope, overconfident.intercept) == pytest.approx((0.5, -0.5), abs=1e-6)


@pytest.mark.parametrize(
    "logits", [np.zeros(6), np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])], ids=["constant", "apart"]
)
def test_no_recalibration_without_a_finite_one(logits: Vector) -> None:
    """Logits that are all equal, or that separate the classes, have no finite recalibration."""
    y = np.array([0, 0, 0, 1, 1, 1])

    found = recalibrate(logits, y, np.ones(6))

    assert found is None


def test_more_classes_have_no_recalibration() -> None:
    """The figures of three classes hold no recalibration, and an AUC over the classes."""
    X, y = drawn(100, 2, 3)

    found = figures(leave_one_out_logits(*fitted(X, y, 1.0)), y, np.ones(100))

    assert found.recalibration is None
    assert found.roc_auc is not None
