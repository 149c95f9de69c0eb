"""Cross-validation: folds, and the metrics of models on rows they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training_runs import A, B, Y, table_of

from service.errors import InvalidParameter
from service.training.cross_validation import cross_validate, stratified_folds
from service.training.options import parse_options
from service.training.train import TrainingData

DATA = TrainingData(table_of({"a": A, "b": 10 * B + 3}), Y)


def test_folds_metrics_are_those_of_scikit_learn() -> None:
    """Each fold's log-loss, accuracy and AUC are those of scikit-learn's out-of-fold probabilities, to 1e-6."""
    folds = stratified_folds(Y, 4, np.random.default_rng(0))
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, tol=1e-12, max_iter=1000))
    X = np.column_stack([A, 10 * B + 3])
    p = cross_val_predict(peer, X, Y, cv=PredefinedSplit(folds), method="predict_proba")[:, 1]

    found = cross_validate(DATA, parse_options({"C": 0.5}), 4)

    for fold, metrics in enumerate(found.folds):
        own = folds == fold
        assert metrics.rows == own.sum()
        assert metrics.log_loss == pytest.approx(log_loss(Y[own], p[own]), rel=1e-6)
        assert metrics.accuracy == pytest.approx(accuracy_score(Y[own], p[own] > 0.5))
        assert metrics.roc_auc == pytest.approx(roc_auc_score(Y[own], p[own]))


def test_bits_do_not_depend_on_the_jobs() -> None:
    """One process and two give equal metrics, C being chosen in each fold anew."""
    options = parse_options({"seed": 3})

    one, two = (cross_validate(DATA, options, 3, jobs=jobs) for jobs in (1, 2))

    assert one == two


def test_means_and_deviations_are_over_folds() -> None:
    """The mean and the standard deviation of a metric are NumPy's over the folds."""
    found = cross_validate(DATA, parse_options({"C": 1.0}), 5)

    losses = [fold.log_loss for fold in found.folds]
    assert found.mean_and_deviation("log_loss") == pytest.approx((np.mean(losses), np.std(losses, ddof=1)))
    assert [fold["log_loss"] for fold in found.as_json()] == losses


def test_folds_are_stratified_and_even() -> None:
    """Every class is spread evenly over the folds, the folds differ by a row at most, and the seed decides."""
    labels = np.repeat(["a", "b", "c"], [7, 11, 5])

    folds, again, other = (stratified_folds(labels, 3, np.random.default_rng(seed)) for seed in (0, 0, 1))

    for label in "abc":
        assert np.ptp(np.bincount(folds[labels == label])) <= 1
    assert np.ptp(np.bincount(folds)) <= 1
    np.testing.assert_array_equal(folds, again)
    assert (folds != other).any()


@pytest.mark.parametrize("n_folds", [1, 6])
def test_folds_that_would_lose_a_class_are_refused(n_folds: int) -> None:
    """One fold, or more than the rarest class has rows, is InvalidParameter."""
    labels = np.repeat([0, 1], [20, 5])

    with pytest.raises(InvalidParameter, match="from 2 to 5"):
        stratified_folds(labels, n_folds, np.random.default_rng(0))


def test_rows_of_unknown_categories_are_left_out() -> None:
    """A category of one row is unknown to the fold that holds it, whose metrics count the other rows."""
    texts = np.array(["x", "y"] * 39 + ["rare", "x"], dtype=object)

    found = cross_validate(TrainingData(table_of({"a": A, "t": texts}), Y), parse_options({"C": 1.0}), 2)

    assert sum(fold.rows for fold in found.folds) == len(A) - 1
