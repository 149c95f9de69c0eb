"""Curves and areas agree with scikit-learn, with the definition by pairs, and with themselves under change of scale."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as peer

from service.errors import NonFinite, TooManyClasses
from service.linear import metrics
from service.linear.columns.arrays import Vector
from service.linear.metrics import Labels

EXACT = 1e-12  # both sides add at most a few dozen numbers of size one


@dataclass(frozen=True)
class ScoreCase:
    name: str
    y_true: Labels
    score: Vector
    positive: object = 1
    weights: Vector | None = None

    def __str__(self) -> str:
        return self.name


TIED = np.array([0.1, 0.4, 0.4, 0.8, 0.4, 0.1, 0.8, 0.9])
MIXED = np.array([0, 0, 1, 1, 0, 1, 0, 1])
SCORE_CASES = [
    ScoreCase("distinct", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])),
    ScoreCase("tied", MIXED, TIED),
    ScoreCase("all-tied", MIXED, np.zeros(8)),
    ScoreCase("logits", MIXED, np.array([-1e6, -3.0, 1e-9, 1e6, 2.0, 0.0, -0.0, 5.0])),
    ScoreCase("minus-one", 2 * MIXED - 1, TIED),
    ScoreCase("strings", np.where(MIXED == 1, "yes", "no"), TIED, positive="yes"),
    ScoreCase("reversed", MIXED, -TIED),
    ScoreCase("perfect", MIXED, MIXED.astype(float)),
    ScoreCase("weights", MIXED, TIED, weights=np.array([1.0, 0.5, 2.0, 3.0, 0.25, 0.0, 1.5, 0.0])),
]


score_cases = pytest.mark.parametrize("case", SCORE_CASES, ids=str)


@score_cases
def test_curves_have_the_points_of_scikit_learn(case: ScoreCase) -> None:
    """The ROC and precision-recall curves have scikit-learn's points, all of them, in its order."""
    keywords = {"pos_label": case.positive, "sample_weight": case.weights}
    expected_roc = peer.roc_curve(case.y_true, case.score, drop_intermediate=False, **keywords)
    expected_steps = peer.precision_recall_curve(case.y_true, case.score, **keywords)

    roc = metrics.roc_curve(case.y_true, case.score, sample_weight=case.weights)
    steps = metrics.precision_recall_curve(case.y_true, case.score, sample_weight=case.weights)

    points = (roc.false_positive_rate, roc.true_positive_rate, roc.thresholds)
    for ours, theirs in zip(points, expected_roc, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=EXACT)
    for ours, theirs in zip((steps.precision, steps.recall, steps.thresholds), expected_steps, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=EXACT)


@score_cases
def test_areas_are_those_of_scikit_learn(case: ScoreCase) -> None:
    """The ROC AUC and the average precision are scikit-learn's."""
    is_positive = case.y_true == case.positive
    expected_auc = peer.roc_auc_score(is_positive, case.score, sample_weight=case.weights)
    expected_precision = peer.average_precision_score(is_positive, case.score, sample_weight=case.weights)

    auc = metrics.roc_auc(case.y_true, case.score, sample_weight=case.weights)
    precision = metrics.average_precision(case.y_true, case.score, sample_weight=case.weights)

    assert auc == pytest.approx(expected_auc, abs=EXACT)
    assert precision == pytest.approx(expected_precision, abs=EXACT)


@pytest.mark.parametrize("y_true", [np.ones(3, dtype=int), np.zeros(3, dtype=int), np.array(["a", "a", "a"])], ids=str)
def test_auc_of_one_class_is_nan(y_true: Labels) -> None:
    """With a single class present there is no pair to rank, and the AUC is NaN without a warning."""
    score = np.array([0.1, 0.2, 0.3])

    auc = metrics.roc_auc(y_true, score)

    assert math.isnan(auc)


@pytest.mark.parametrize("label", [0, 1])
def test_curves_of_one_class_are_those_of_scikit_learn(label: int) -> None:
    """Rates without rows are NaN and recall without positives is 1, as in scikit-learn but without its warnings."""
    y_true, score = np.full(3, label), np.array([0.1, 0.3, 0.3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected_roc = peer.roc_curve(y_true, score, drop_intermediate=False, pos_label=1)
        expected_steps = peer.precision_recall_curve(y_true, score, pos_label=1)

    roc, steps = metrics.roc_curve(y_true, score), metrics.precision_recall_curve(y_true, score)

    np.testing.assert_array_equal(roc.false_positive_rate, expected_roc[0])
    np.testing.assert_array_equal(roc.true_positive_rate, expected_roc[1])
    np.testing.assert_array_equal(steps.recall, expected_steps[1])
    assert metrics.average_precision(y_true, score) == label


# Few distinct values, so that ties are common.
scored_rows = st.lists(st.tuples(st.booleans(), st.integers(-4, 4), st.integers(1, 3)), min_size=1, max_size=30).filter(
    lambda rows: len({label for label, _, _ in rows}) == 2
)


def columns_of(rows: list[tuple[bool, int, int]]) -> tuple[Labels, Vector, Vector]:
    y_true, score, weights = zip(*rows, strict=True)
    return np.array(y_true), np.array(score, dtype=float), np.array(weights, dtype=float)


@settings(deadline=None)
@given(scored_rows)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int, int]]) -> None:
    """The AUC by ranks is the definition by pairs: the mean over (positive, negative) of above + tied / 2."""
    y_true, score, weights = columns_of(rows)
    gaps = np.sign(score[y_true][:, None] - score[~y_true][None, :])
    pair_weights = np.outer(weights[y_true], weights[~y_true])

    auc = metrics.roc_auc(y_true, score, sample_weight=weights)

    assert auc == pytest.approx(np.average((gaps + 1) / 2, weights=pair_weights), abs=EXACT)


@settings(deadline=None)
@given(scored_rows)
def test_auc_sees_only_the_order_of_the_scores(rows: list[tuple[bool, int, int]]) -> None:
    """A strictly increasing map of the scores leaves the AUC as it is, to the bit."""
    y_true, score, _ = columns_of(rows)

    mapped = metrics.roc_auc(y_true, 10 * np.arctan(score) + score**3)

    assert mapped == metrics.roc_auc(y_true, score)


@settings(deadline=None)
@given(scored_rows)
def test_swapping_the_labels_mirrors_the_auc(rows: list[tuple[bool, int, int]]) -> None:
    """Calling the negatives positive gives 1 - AUC."""
    y_true, score, weights = columns_of(rows)

    swapped = metrics.roc_auc(~y_true, score, sample_weight=weights)

    assert swapped == pytest.approx(1 - metrics.roc_auc(y_true, score, sample_weight=weights), abs=EXACT)


def every_metric(y_true: Labels, score: Vector, weights: Vector | None = None) -> list[float]:
    probabilities = np.column_stack([5 - score, 5 + score]) / 10
    labels = (y_true, score > 0, [False, True])
    table = (y_true.astype(int), probabilities)
    return [
        metrics.accuracy_score(*labels[:2], sample_weight=weights),
        metrics.f1_macro(*labels, sample_weight=weights),
        *metrics.confusion_matrix(*labels, sample_weight=weights).ravel(),
        metrics.roc_auc(y_true, score, sample_weight=weights),
        metrics.average_precision(y_true, score, sample_weight=weights),
        metrics.log_loss(*table, sample_weight=weights),
        metrics.brier_score(*table, sample_weight=weights),
    ]


@settings(deadline=None)
@given(scored_rows)
def test_weight_two_is_the_row_twice(rows: list[tuple[bool, int, int]]) -> None:
    """A whole-number weight counts a row that many times, in every metric."""
    y_true, score, weights = columns_of(rows)
    repeated = np.repeat(np.arange(len(y_true)), weights.astype(int))

    weighted = every_metric(y_true, score, weights)

    assert weighted == pytest.approx(every_metric(y_true[repeated], score[repeated]), abs=EXACT)


def test_scores_that_cannot_be_ranked_are_refused() -> None:
    """A NaN score, and a third label, are errors: neither has a place in a ranking of two classes."""
    with pytest.raises(NonFinite):
        metrics.roc_auc(np.array([0, 1]), np.array([0.5, np.nan]))
    with pytest.raises(TooManyClasses):
        metrics.roc_curve(np.array([0, 1, 2]), np.array([0.5, 0.6, 0.7]))
