"""What the tutorials on logistic regression show holds here, with their numbers, from the package's own functions."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as peer_metrics
from sklearn.linear_model import LogisticRegression as Peer

from service import LogisticRegression
from service.errors import InvalidParameter, SeparationError
from service.linear import link, metrics
from service.linear.columns import DenseColumns
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.report import classification_report
from service.linear.solvers import GradientDescent, Newton
from service.model import Model
from service.tabular.datasets import load_dataset
from service.tabular.schema_inference import infer_schema

Matrix: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[Any]

# Both fits are at the optimum to twelve digits of the objective, which is six of the coefficients and better.
SAME_FIT = 1e-6


def rows_of(name: str) -> tuple[Matrix, Labels]:
    data = load_dataset(name)
    columns = [np.asarray(column, dtype=np.float64) for _, column in data.table.without(data.target)]
    labels = data.table.column(data.target)
    return np.column_stack(columns), labels if labels.dtype == object else labels.astype(np.intp)


def sepals() -> tuple[Matrix, Labels]:
    """The first two columns of iris, and whether a flower is a setosa."""
    X, species = rows_of("iris")
    return X[:, :2], np.asarray(species == "setosa")


def objective_of(X: Matrix, y: Labels, C: float = math.inf) -> BinaryObjective:
    rows = Rows(DenseColumns(X), np.ones(len(X)), np.full(X.shape[1], 1 / C), fit_intercept=True)
    return BinaryObjective(rows, y.astype(np.float64))


def test_iris_by_gradient_descent() -> None:
    """Setosa by its sepal, rate 0.1, 300 000 steps: all right, the weights of the tutorial, and still growing."""
    X, y = sepals()
    model = LogisticRegression(C=math.inf, solver="gradient-descent", learning_rate=0.1, max_iter=300_000)

    with pytest.warns(UserWarning, match="before the optimum was certified"):
        model.fit(X, y)

    assert metrics.accuracy_score(y, model.predict(X)) == 1.0
    np.testing.assert_allclose(model.coef_[0], [-12.5, 13.4], atol=0.1)
    assert (np.diff(model.loss_curve_[-100:]) < 0).all()
    assert model.certificate_.status == "budget spent"
    assert model.certificate_.separation == "complete"
    with pytest.raises(SeparationError, match="complete"):
        LogisticRegression(C=math.inf, solver="newton").fit(X, y)


def test_a_class_from_scratch() -> None:
    """On the random set the loss falls at every step of the safe rate, to Newton's optimum within the certified gap."""
    X, y = rows_of("random")
    objective, start = objective_of(X, y), np.zeros(5)

    slow, best = GradientDescent(max_iter=1000).minimise(objective, start), Newton().minimise(objective, start)

    # The loss is about 0.5 a row; its last digits are rounding.
    assert (np.diff(slow.loss_curve) <= 1e-15).all()
    # Each sum of 500 losses is rounded by some 1e-15 of itself.
    assert slow.objective - best.objective <= slow.gap_bound + 1e-14 * best.objective
    assert slow.gap_relative <= 1e-10
    # The labels were drawn with these weights; the standard error of each is about 0.13.
    np.testing.assert_allclose(best.w, [1.5, -1.0, 0.5, 0.0, 0.0], atol=0.4)
    p = link.sigmoid(objective.raw_prediction(best.w))
    assert p.min() > 0
    assert p.max() < 1


def test_modular_functions_make_a_descent() -> None:
    """Sigmoid, prediction, cross-entropy, gradient and update, as pieces: together they are ``GradientDescent``."""
    X, y = rows_of("moons")
    objective, w, rate = objective_of(X, y), np.zeros(3), 0.1

    for _ in range(200):
        p = link.sigmoid(X @ w[:2] + w[2])
        w = w - rate * np.append(X.T @ (p - y), np.sum(p - y)) / len(y)

    descent = GradientDescent(learning_rate=rate, max_iter=200).minimise(objective, np.zeros(3))
    np.testing.assert_allclose(w, descent.w, rtol=1e-12)
    p = link.sigmoid(objective.raw_prediction(w))
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))
    assert descent.loss_curve[-1] == pytest.approx(cross_entropy, rel=1e-12)


def test_moons_held_out() -> None:
    """On moons that it has not seen, the accuracy is scikit-learn's: as high as a line can come, and not 1."""
    X, y = rows_of("moons")
    train = np.random.default_rng(0).permutation(len(y)) < 300
    ours, theirs = LogisticRegression().fit(X[train], y[train]), Peer(tol=1e-8).fit(X[train], y[train])

    accuracy = ours.score(X[~train], y[~train])

    assert accuracy == theirs.score(X[~train], y[~train])
    assert 0.8 < accuracy < 0.95


def test_the_threshold_moves_predictions_where_probabilities_cross_it() -> None:
    """A row is of the second class exactly when its probability is above the threshold; at it, of the first."""
    data = load_dataset("moons")
    X, y = rows_of("moons")
    fitted = LogisticRegression().fit(X, y)
    features = data.table.without(data.target)
    model = Model(infer_schema(features), (0, 1), fitted.coef_, fitted.intercept_)
    p = model.probabilities(features)

    for threshold in (0.0, 0.25, 0.5, *p[:3, 1].tolist(), 1.0):
        np.testing.assert_array_equal(model.labels(p, threshold), (p[:, 1] > threshold).astype(int))

    np.testing.assert_array_equal(model.labels(p), fitted.predict(X))
    with pytest.raises(InvalidParameter, match="two classes"):
        Model(model.schema, (0, 1, 2), np.zeros((3, 2)), np.zeros(3)).labels(np.eye(3), 0.5)


@pytest.mark.parametrize("name", ["spiral", "iris"])
def test_softmax(name: str) -> None:
    """Three classes: rows of probabilities sum to 1, the highest is predicted, and all is scikit-learn's multinomial."""
    X, y = rows_of(name)
    theirs = Peer(tol=1e-10, max_iter=1000, solver="newton-cholesky").fit(X, y)

    ours = LogisticRegression().fit(X, y)

    p = ours.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(ours.predict(X), ours.classes_[p.argmax(axis=1)])
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(p, theirs.predict_proba(X), atol=SAME_FIT)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=SAME_FIT)


def test_two_classes_by_softmax_are_the_sigmoid() -> None:
    """The softmax of the logits 0 and z is the sigmoid of z."""
    X, y = rows_of("random")
    z = LogisticRegression().fit(X, y).decision_function(X)

    p = link.softmax(np.column_stack([np.zeros_like(z), z]))

    np.testing.assert_allclose(p[:, 1], link.sigmoid(z), rtol=1e-15)


def test_hyperplane_geometry() -> None:
    """w is the normal; a point moved along it by minus its distance has probability ½; labels ±1 give the same bits."""
    X, y = sepals()
    model, signed = LogisticRegression().fit(X, y.astype(int)), LogisticRegression().fit(X, np.where(y, 1, -1))
    normal = model.coef_[0] / np.linalg.norm(model.coef_[0])

    distance = model.signed_distance(X)

    np.testing.assert_allclose(distance, (X @ model.coef_[0] + model.intercept_) / np.linalg.norm(model.coef_))
    feet = X - distance[:, None] * normal
    np.testing.assert_allclose(model.predict_proba(feet), 0.5, rtol=1e-12)
    np.testing.assert_array_equal(distance > 0, model.predict_proba(X)[:, 1] > 0.5)
    np.testing.assert_array_equal(signed.coef_, model.coef_)
    sign = np.where(y, 1.0, -1.0)
    np.testing.assert_array_equal(sign * distance > 0, signed.predict(X) == sign)
    loss = np.sum(np.log1p(np.exp(-sign * model.decision_function(X)))) + 0.5 * np.sum(model.coef_**2)
    assert loss == pytest.approx(model.certificate_.objective, rel=1e-12)


def test_the_report_and_the_matrix_are_those_of_the_library() -> None:
    """On the same predictions, the classification report and the confusion matrix are scikit-learn's, cell by cell."""
    X, y = rows_of("iris")
    predicted = LogisticRegression(C=0.01).fit(X[:, :2], y).predict(X[:, :2])
    labels = np.unique(y)

    matrix, report = metrics.confusion_matrix(y, predicted, labels), classification_report(y, predicted, labels)

    np.testing.assert_array_equal(matrix, peer_metrics.confusion_matrix(y, predicted))
    assert report == peer_metrics.classification_report(y, predicted, zero_division=0)
    # Two of the species overlap in their sepals: there is something to report.
    assert 0.5 < metrics.accuracy_score(y, predicted) < 1


def test_liblinear_minimises_another_objective() -> None:
    """liblinear penalises its intercept: each fit is the better one by its own objective, ours with a proof."""
    X, y = sepals()
    ours, theirs = LogisticRegression().fit(X, y), Peer(solver="liblinear", tol=1e-10, max_iter=10_000).fit(X, y)
    w_ours, w_theirs = (np.append(model.coef_, model.intercept_) for model in (ours, theirs))
    objective = objective_of(X, y, C=1.0)

    value_ours, value_theirs = objective.value(w_ours), objective.value(w_theirs)

    assert value_ours < value_theirs
    assert value_theirs + w_theirs[2] ** 2 / 2 < value_ours + w_ours[2] ** 2 / 2
    assert value_ours == pytest.approx(ours.certificate_.objective, rel=1e-12)
    assert ours.certificate_.gap_relative <= 1e-10


def test_least_squares_on_labels_is_no_probability() -> None:
    """A line fitted to the labels leaves [0, 1] where the logistic regression stays inside, ordering rows alike."""
    X, y = rows_of("random")
    with_ones = np.column_stack([X, np.ones(len(X))])

    linear = with_ones @ np.linalg.lstsq(with_ones, y.astype(np.float64), rcond=None)[0]
    logistic = LogisticRegression(C=math.inf).fit(X, y).predict_proba(X)[:, 1]

    assert linear.min() < 0
    assert linear.max() > 1
    assert logistic.min() > 0
    assert logistic.max() < 1
    assert metrics.roc_auc(y, logistic) == pytest.approx(metrics.roc_auc(y, linear), abs=0.01)
