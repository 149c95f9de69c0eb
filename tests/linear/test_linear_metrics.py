"""Metrics of labels and of probabilities agree with scikit-learn and with numbers computed by hand."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as peer

from service.errors import (
    EmptyInput,
    InvalidParameter,
    InvalidWeights,
    LengthMismatch,
    MixedLabelTypes,
    NonFinite,
    WrongShape,
)
from service.linear import metrics
from service.linear.columns.arrays import Matrix, Vector
from service.linear.metrics import Indices, Labels

EXACT = 1e-12  # both sides add at most a few dozen numbers of size one


@dataclass(frozen=True)
class LabelCase:
    name: str
    y_true: Labels
    y_pred: Labels
    labels: Labels
    weights: Vector | None = None

    def __str__(self) -> str:
        return self.name


def label_case(name: str, y_true: list[object], y_pred: list[object], weights: list[float] | None = None) -> LabelCase:
    truth, predicted = np.array(y_true), np.array(y_pred)
    labels = np.unique(np.concatenate([truth, predicted]))
    return LabelCase(name, truth, predicted, labels, None if weights is None else np.array(weights))


BINARY = label_case("binary", [0, 1, 1, 0, 1, 0], [0, 1, 0, 0, 1, 1])
LABEL_CASES = [
    BINARY,
    label_case("booleans", [True, False, True, True], [True, True, False, True]),
    label_case("three-classes", [0, 1, 2, 2, 1, 0, 2], [0, 2, 2, 1, 1, 0, 2]),
    label_case("strings", ["cat", "dog", "pig", "cat", "dog", "pig"], ["cat", "pig", "dog", "cat", "cat", "dog"]),
    label_case("one-prediction", [-1, 1, 1, -1, 1], [1, 1, 1, 1, 1]),
    label_case("never-predicted", [5, 6, 7, 5], [5, 5, 6, 6]),
    label_case("never-true", [5, 5, 6, 6], [5, 7, 7, 6]),
    label_case("all-wrong", ["a", "b"], ["b", "a"]),
    label_case("weights", [0, 1, 2, 2, 1], [0, 2, 2, 1, 1], [0.5, 2.0, 0.0, 1.25, 3.0]),
    LabelCase("label-order", np.array(["a", "b", "b"]), np.array(["b", "b", "a"]), np.array(["b", "a"])),
    LabelCase("unlisted-labels", np.array([1, 2, 3, 4, 2]), np.array([1, 3, 3, 2, 4]), np.array([1, 2])),
    LabelCase("text-objects", np.array(["x", "y"], dtype=object), np.array(["x", "x"]), np.array(["x", "y"])),
]


@dataclass(frozen=True)
class ProbabilityCase:
    name: str
    y_index: Indices
    probabilities: Matrix
    weights: Vector | None = None

    def __str__(self) -> str:
        return self.name


THREE = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
TWO = np.array([[0.9, 0.1], [0.4, 0.6], [1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
PROBABILITY_CASES = [
    ProbabilityCase("binary", np.array([0, 1, 0, 0, 1]), TWO),
    ProbabilityCase("binary-sure-and-wrong", np.array([0, 1, 1, 0, 0]), TWO),
    ProbabilityCase("three-classes", np.array([0, 2, 1, 0, 2]), THREE),
    ProbabilityCase("three-classes-sure-and-wrong", np.array([0, 2, 1, 0, 1]), THREE),
    ProbabilityCase("weights", np.array([0, 2, 1, 0, 2]), THREE, np.array([1.0, 0.5, 2.0, 0.25, 3.0])),
]

label_cases = pytest.mark.parametrize("case", LABEL_CASES, ids=str)
probability_cases = pytest.mark.parametrize("case", PROBABILITY_CASES, ids=str)


@label_cases
def test_labels_score_as_in_scikit_learn(case: LabelCase) -> None:
    """Accuracy, confusion matrix and the scores of each class are scikit-learn's, to the last bits."""
    rows, weights = (case.y_true, case.y_pred), case.weights
    expected = peer.precision_recall_fscore_support(*rows, labels=case.labels, sample_weight=weights, zero_division=0)

    scores = metrics.precision_recall_f1(*rows, case.labels, sample_weight=weights)
    matrix = metrics.confusion_matrix(*rows, case.labels, sample_weight=weights)
    accuracy = metrics.accuracy_score(*rows, sample_weight=weights)

    np.testing.assert_allclose((scores.precision, scores.recall, scores.f1, scores.support), expected, rtol=EXACT)
    np.testing.assert_array_equal(matrix, peer.confusion_matrix(*rows, labels=case.labels, sample_weight=weights))
    assert accuracy == pytest.approx(peer.accuracy_score(*rows, sample_weight=weights), abs=EXACT)
    assert np.issubdtype(matrix.dtype, np.integer) == (case.weights is None)


@label_cases
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages_are_those_of_scikit_learn(case: LabelCase, average: str) -> None:
    """The three averages are scikit-learn's with ``zero_division=0``, and ``f1_macro`` is the macro F1."""
    scores = metrics.precision_recall_f1(case.y_true, case.y_pred, case.labels, sample_weight=case.weights)
    f1_macro = metrics.f1_macro(case.y_true, case.y_pred, case.labels, sample_weight=case.weights)
    expected = peer.precision_recall_fscore_support(
        case.y_true, case.y_pred, labels=case.labels, average=average, sample_weight=case.weights, zero_division=0
    )[:3]

    mean = getattr(scores, average)()

    assert (mean.precision, mean.recall, mean.f1) == pytest.approx(expected, abs=EXACT)
    assert f1_macro == scores.macro().f1


@probability_cases
def test_probabilities_score_as_in_scikit_learn(case: ProbabilityCase) -> None:
    """Log-loss, Brier score and one-vs-rest AUC are scikit-learn's, a probability of exactly 0 included."""
    keywords = {"labels": range(case.probabilities.shape[1]), "sample_weight": case.weights}
    is_binary = case.probabilities.shape[1] == 2
    ranked = case.probabilities[:, 1] if is_binary else case.probabilities
    expected_auc = peer.roc_auc_score(case.y_index, ranked, multi_class="ovr", sample_weight=case.weights)

    loss = metrics.log_loss(case.y_index, case.probabilities, sample_weight=case.weights)
    brier = metrics.brier_score(case.y_index, case.probabilities, sample_weight=case.weights)
    auc = metrics.roc_auc_ovr_macro(case.y_index, case.probabilities, sample_weight=case.weights)

    assert loss == pytest.approx(peer.log_loss(case.y_index, case.probabilities, **keywords), abs=EXACT)
    assert brier == pytest.approx(peer.brier_score_loss(case.y_index, case.probabilities, **keywords), abs=EXACT)
    assert auc == pytest.approx(expected_auc, abs=EXACT)


def test_a_perfect_classifier_has_perfect_numbers() -> None:
    """Predicting the truth with certainty is 1 everywhere that more is better, and 0 where less is, without a sign."""
    y_index = np.array([0, 1, 2, 1, 0])
    certain = np.eye(3)[y_index]

    loss = metrics.log_loss(y_index, certain)

    assert metrics.accuracy_score(y_index, y_index) == 1.0
    assert metrics.f1_macro(y_index, y_index, range(3)) == 1.0
    assert metrics.roc_auc_ovr_macro(y_index, certain) == 1.0
    assert metrics.average_precision(y_index == 1, certain[:, 1]) == 1.0
    assert metrics.brier_score(y_index, certain) == 0.0
    assert math.copysign(1, loss) == 1.0
    assert loss == 0.0


def test_probabilities_score_as_computed_by_hand() -> None:
    """Two rows at 3/4 and 1/4 for the truth lose (log 4/3 + log 4) / 2 nats and a mean square of 5/16."""
    y_index, probabilities = np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]])

    loss, brier = metrics.log_loss(y_index, probabilities), metrics.brier_score(y_index, probabilities)

    assert loss == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, rel=EXACT)
    assert brier == 0.3125


def test_auc_of_a_class_without_rows_is_nan() -> None:
    """One-vs-rest AUC over three classes is NaN when one of them has no row, as in scikit-learn."""
    y_index = np.array([0, 1, 0, 1, 0])

    auc = metrics.roc_auc_ovr_macro(y_index, THREE)

    assert math.isnan(auc)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_confusion_matrix_counts_every_row_once(pairs: list[tuple[str, str]]) -> None:
    """With all labels listed the matrix sums to n, its rows to the support and its diagonal to the accuracy."""
    y_true, y_pred = (np.array(column) for column in zip(*pairs, strict=True))

    matrix = metrics.confusion_matrix(y_true, y_pred, list("abc"))

    assert matrix.sum() == len(pairs)
    assert matrix.sum(axis=1).tolist() == [np.count_nonzero(y_true == label) for label in "abc"]
    assert np.trace(matrix) / len(pairs) == pytest.approx(metrics.accuracy_score(y_true, y_pred))


def test_no_rows_are_refused() -> None:
    """Nothing to score is an error, not NaN."""
    nothing = np.array([])

    with pytest.raises(EmptyInput):
        metrics.accuracy_score(nothing, nothing)
    with pytest.raises(EmptyInput):
        metrics.log_loss(np.array([], dtype=int), np.empty((0, 3)))
    with pytest.raises(EmptyInput, match="labels"):
        metrics.confusion_matrix(BINARY.y_true, BINARY.y_pred, [])


@pytest.mark.parametrize("other", [np.zeros(5), np.zeros((6, 1))], ids=["shorter", "a-column"])
def test_different_shapes_are_refused(other: Vector) -> None:
    """Predictions and weights that are not one a row are refused, and never broadcast."""
    with pytest.raises(LengthMismatch):
        metrics.accuracy_score(BINARY.y_true, other)
    with pytest.raises(LengthMismatch):
        metrics.roc_auc(BINARY.y_true, other)
    with pytest.raises(LengthMismatch):
        metrics.accuracy_score(BINARY.y_true, BINARY.y_pred, sample_weight=other)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_impossible_weights_are_refused(bad: float) -> None:
    """A weight is finite and not negative, and one at least is above zero."""
    weights = np.ones(6)
    weights[2] = bad

    with pytest.raises(InvalidWeights):
        metrics.accuracy_score(BINARY.y_true, BINARY.y_pred, sample_weight=weights)
    with pytest.raises(InvalidWeights):
        metrics.accuracy_score(BINARY.y_true, BINARY.y_pred, sample_weight=np.zeros(6))


def test_strings_are_not_compared_with_numbers() -> None:
    """Labels read as text on one side and as numbers on the other are an error, not an accuracy of 0."""
    as_text = BINARY.y_pred.astype(str)

    with pytest.raises(MixedLabelTypes):
        metrics.accuracy_score(BINARY.y_true, as_text)
    with pytest.raises(MixedLabelTypes):
        metrics.confusion_matrix(BINARY.y_true, BINARY.y_pred, ["0", "1"])


@pytest.mark.parametrize(
    ("probabilities", "error"),
    [
        (np.array([[0.5, np.nan]]), NonFinite),
        (np.array([[-0.1, 1.1]]), InvalidParameter),
        (np.array([0.5]), WrongShape),
        (np.array([[1.0]]), InvalidParameter),
    ],
    ids=["nan", "outside-0-1", "one-dimension", "no-column-for-the-class"],
)
def test_what_is_no_probability_table_is_refused(probabilities: Matrix, error: type[Exception]) -> None:
    """Class probabilities are a table of numbers from 0 to 1 with a column for each class index."""
    with pytest.raises(error):
        metrics.log_loss(np.array([1]), probabilities)
