"""How well predictions match the truth, in scikit-learn's names and meanings.

Three kinds of prediction, three kinds of argument, each with one entry a row:

- labels: ``y_true`` and ``y_pred`` hold ints, bools or strings; ``labels`` lists the K distinct ones in order;
- scores: ``y_true`` holds two labels, of which the greater is the positive one (a lone label is positive when it is
  1 or True; pass ``y == label`` to name it), and ``score`` is finite and larger where that one is likelier;
- probabilities: ``y_index`` holds 0 … K-1, the columns of ``probabilities``, shape (n, K).

``sample_weight`` counts a row that many times.  Every metric raises EmptyInput without rows, LengthMismatch
when shapes differ, and InvalidWeights when a weight is negative or not finite, or all are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import (
    EmptyInput,
    InvalidParameter,
    InvalidWeights,
    LengthMismatch,
    MixedLabelTypes,
    NonFinite,
    TooManyClasses,
    WrongShape,
)
from service.linear.columns.arrays import Matrix, Vector

Mask: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.integer[Any]]
Counts: TypeAlias = npt.NDArray[np.int64 | np.float64]  # whole numbers of rows, or sums of weights
Labels: TypeAlias = npt.NDArray[Any]


def row_weights(y_true: Labels, predicted: Labels, sample_weight: Vector | None = None) -> Vector:
    """The weight of each row, shape (n,); ones without ``sample_weight``.

    predicted: what is compared with ``y_true``, row by row.  Raises EmptyInput, LengthMismatch, InvalidWeights.
    """
    if not len(y_true):
        raise EmptyInput("there are no rows to score; pass at least one")
    if predicted.shape != y_true.shape:
        raise LengthMismatch(f"y_true has shape {y_true.shape} and the predictions {predicted.shape}; give one a row")
    if sample_weight is None:
        return np.ones(len(y_true))
    if sample_weight.shape != y_true.shape:
        raise LengthMismatch(f"sample_weight has shape {sample_weight.shape}, expected {y_true.shape}: one a row")
    if not np.isfinite(sample_weight).all() or sample_weight.min() < 0 or not sample_weight.any():
        raise InvalidWeights("sample_weight must be finite, not negative, and not all zero")
    return sample_weight.astype(np.float64, copy=False)


def _check_one_kind(*groups: Labels) -> None:
    # Strings never equal numbers: without this check the mix would pass as a very bad classifier.
    if len({isinstance(group[0], str) for group in groups}) > 1:
        raise MixedLabelTypes("strings are compared with numbers or booleans; use one type of label for all")


def accuracy_score(y_true: Labels, y_pred: Labels, *, sample_weight: Vector | None = None) -> float:
    """The share of the rows, or of their weight, whose label is right.

    Raises MixedLabelTypes when strings meet numbers.
    """
    weights = row_weights(y_true, y_pred, sample_weight)
    _check_one_kind(y_true, y_pred)
    return float(np.average(y_true == y_pred, weights=weights))


def _contingency(y_true: Labels, y_pred: Labels, labels: npt.ArrayLike, sample_weight: Vector | None) -> Counts:
    """Counts of (true, predicted), (K + 1, K + 1); last are other labels."""
    weights = row_weights(y_true, y_pred, sample_weight)
    listed = np.asarray(labels)
    if not listed.size:
        raise EmptyInput("labels is empty; list the classes")
    _check_one_kind(y_true, y_pred, listed)
    place = {label: index for index, label in enumerate(listed.tolist())}
    width = len(place) + 1
    rows, columns = (np.array([place.get(label, width - 1) for label in y.tolist()]) for y in (y_true, y_pred))
    counts = np.bincount(rows * width + columns, weights=weights, minlength=width * width).reshape(width, width)
    return counts.astype(np.int64) if sample_weight is None else counts


def confusion_matrix(
    y_true: Labels, y_pred: Labels, labels: npt.ArrayLike, *, sample_weight: Vector | None = None
) -> Counts:
    """How often each label (row) was predicted as each (column), (K, K).

    Whole numbers, or float64 sums of weights with ``sample_weight``.  A row with a label that is not in ``labels``,
    true or predicted, is left out.  Raises MixedLabelTypes when strings meet numbers.
    """
    return _contingency(y_true, y_pred, labels, sample_weight)[:-1, :-1]


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Vector:
    """The quotient, and 0 where the denominator is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


@dataclass(frozen=True, slots=True)
class AverageScores:
    """Precision, recall and F1, averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of K classes, each shape (K,); 0/0 is 0.

        precision = TP / predicted,   recall = TP / support,   F1 = 2 TP / (support + predicted)

    true_positives, predicted, support: rows (or weight) that are right, predicted, and truly of the class.
    """

    true_positives: Counts
    predicted: Counts
    support: Counts

    @property
    def precision(self) -> Vector:
        return _ratio(self.true_positives, self.predicted)

    @property
    def recall(self) -> Vector:
        return _ratio(self.true_positives, self.support)

    @property
    def f1(self) -> Vector:
        return _ratio(2 * self.true_positives, self.support + self.predicted)

    def macro(self) -> AverageScores:
        """The plain mean over the classes, those without a row included."""
        return AverageScores(float(self.precision.mean()), float(self.recall.mean()), float(self.f1.mean()))

    def weighted(self) -> AverageScores:
        """The mean over the classes, weighted by their support."""
        total = self.support.sum()
        means = (float(_ratio((s * self.support).sum(), total)) for s in (self.precision, self.recall, self.f1))
        return AverageScores(*means)

    def micro(self) -> AverageScores:
        """The scores of the summed counts: the accuracy if all are listed."""
        pooled = ClassScores(*(np.atleast_1d(c.sum()) for c in (self.true_positives, self.predicted, self.support)))
        return pooled.macro()


def precision_recall_f1(
    y_true: Labels, y_pred: Labels, labels: npt.ArrayLike, *, sample_weight: Vector | None = None
) -> ClassScores:
    """Precision, recall, F1 and support of each of ``labels``; 0/0 is 0.

    A row of a label that is not listed still counts as a mistake of the listed label that it was predicted as.
    Raises MixedLabelTypes when strings meet numbers.
    """
    counts = _contingency(y_true, y_pred, labels, sample_weight)
    return ClassScores(np.diag(counts)[:-1], counts.sum(axis=0)[:-1], counts.sum(axis=1)[:-1])


def f1_macro(y_true: Labels, y_pred: Labels, labels: npt.ArrayLike, *, sample_weight: Vector | None = None) -> float:
    """The plain mean of the F1 of ``labels``.  Raises MixedLabelTypes."""
    return precision_recall_f1(y_true, y_pred, labels, sample_weight=sample_weight).macro().f1


def positive_rows(y_true: Labels) -> Mask:
    """Where the label is the greater of two, or is 1 or True if it is alone.

    Raises TooManyClasses with more than two labels.
    """
    classes = np.unique(y_true)
    if len(classes) > 2:
        raise TooManyClasses(f"y_true has {len(classes)} labels, expected two; compare it with the positive one first")
    return np.asarray(y_true == (classes[1] if len(classes) == 2 else 1), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _Tally:
    """The distinct scores, descending, and the weight of each class there."""

    scores: Vector
    positives: Vector
    negatives: Vector


def _tally(is_positive: Mask, score: Vector, weights: Vector) -> _Tally:
    if not np.isfinite(score).all():
        raise NonFinite("score holds NaN or an infinity; it must be finite to be ranked")
    counted = weights > 0
    scores, rank = np.unique(score[counted], return_inverse=True)
    sums = (np.bincount(rank, weights=(weights * of_class)[counted]) for of_class in (is_positive, ~is_positive))
    return _Tally(scores[::-1], *(ascending[::-1].astype(np.float64, copy=False) for ascending in sums))


def _tally_scores(y_true: Labels, score: Vector, sample_weight: Vector | None) -> _Tally:
    weights = row_weights(y_true, score, sample_weight)
    return _tally(positive_rows(y_true), score, weights)


@dataclass(frozen=True, slots=True)
class RocCurve:
    """The rates if score >= threshold is called positive, shape (m + 1,)."""

    false_positive_rate: Vector
    true_positive_rate: Vector
    thresholds: Vector


def _share(counts: Vector) -> Vector:
    """The running share of the total, from 0 to 1; NaN if the total is 0."""
    running = np.concatenate([[0.0], np.cumsum(counts)])
    return running / running[-1] if running[-1] > 0 else np.full_like(running, np.nan)


def roc_curve(y_true: Labels, score: Vector, *, sample_weight: Vector | None = None) -> RocCurve:
    """The receiver operating characteristic, from (0, 0) to (1, 1).

    One point a distinct score, descending, after the threshold inf.  A rate is NaN throughout if no row is of its
    class.  Rows of weight 0 give no point.  Raises NonFinite or TooManyClasses.
    Source: Fawcett, Pattern Recognition Letters 27 (2006); ``sklearn.metrics.roc_curve(drop_intermediate=False)``.
    """
    tally = _tally_scores(y_true, score, sample_weight)
    return RocCurve(_share(tally.negatives), _share(tally.positives), np.concatenate([[np.inf], tally.scores]))


def _area(tally: _Tally) -> float:
    n_positive, n_negative = tally.positives.sum(), tally.negatives.sum()
    if n_positive == 0 or n_negative == 0:
        return np.nan
    outranked = n_negative - np.cumsum(tally.negatives) + tally.negatives / 2
    return float(tally.positives @ (outranked / n_negative) / n_positive)


def roc_auc(y_true: Labels, score: Vector, *, sample_weight: Vector | None = None) -> float:
    """The area under the ROC curve: P(a positive row outranks a negative one).

    Ties count half.  NaN if only one class is present.  One sort: O(n log n).  Raises NonFinite or TooManyClasses.
    Source: Hanley and McNeil, Radiology 143 (1982): the Mann-Whitney statistic over its maximum.
    """
    return _area(_tally_scores(y_true, score, sample_weight))


def roc_auc_ovr_macro(y_index: Indices, probabilities: Matrix, *, sample_weight: Vector | None = None) -> float:
    """The mean ROC AUC of each class against the rest; for K = 2 the one AUC.

    NaN if any class has no row, or all of them.  Raises WrongShape, NonFinite or InvalidParameter.
    """
    weights = _checked_rows(y_index, probabilities, sample_weight)
    n_classes = probabilities.shape[1]
    classes = range(n_classes) if n_classes > 2 else [1]
    return float(np.mean([_area(_tally(y_index == k, probabilities[:, k], weights)) for k in classes]))


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Precision and recall if score >= threshold is called positive.

    precision, recall: shape (m + 1,).  thresholds: shape (m,), ascending; the last point, precision 1 and recall 0,
    has none.
    """

    precision: Vector
    recall: Vector
    thresholds: Vector


def precision_recall_curve(
    y_true: Labels, score: Vector, *, sample_weight: Vector | None = None
) -> PrecisionRecallCurve:
    """Precision against recall, ending at precision 1 and recall 0.

    One point a distinct score.  Recall is 1 throughout if no row is positive.  Rows of weight 0 give no point.
    Raises NonFinite or TooManyClasses.  Source: ``sklearn.metrics.precision_recall_curve``.
    """
    tally = _tally_scores(y_true, score, sample_weight)
    hits, misses = np.cumsum(tally.positives), np.cumsum(tally.negatives)
    recall = hits / hits[-1] if hits[-1] > 0 else np.ones_like(hits)
    return PrecisionRecallCurve(
        np.append((hits / (hits + misses))[::-1], 1.0), np.append(recall[::-1], 0.0), tally.scores[::-1]
    )


def average_precision(y_true: Labels, score: Vector, *, sample_weight: Vector | None = None) -> float:
    """The area under the precision-recall steps: sum_i (R_i - R_(i+1)) P_i.

    Not interpolated.  0 if no row is positive.  Raises NonFinite or TooManyClasses.
    """
    curve = precision_recall_curve(y_true, score, sample_weight=sample_weight)
    return float((curve.recall[:-1] - curve.recall[1:]) @ curve.precision[:-1])


def _checked_rows(y_index: Indices, probabilities: Matrix, sample_weight: Vector | None) -> Vector:
    """The weights, once probabilities and class indices are checked."""
    if probabilities.ndim != 2:
        raise WrongShape(f"probabilities has {probabilities.ndim} dimensions, expected (n, K): one column a class")
    weights = row_weights(y_index, probabilities[:, 0], sample_weight)
    check_probabilities(probabilities)
    n_classes = probabilities.shape[1]
    if y_index.min() < 0 or y_index.max() >= n_classes:
        raise InvalidParameter(f"y_index must lie between 0 and {n_classes - 1}: probabilities has {n_classes} columns")
    return weights


def check_probabilities(probabilities: Vector | Matrix) -> None:
    """Raise NonFinite or InvalidParameter unless every entry is in [0, 1]."""
    if not np.isfinite(probabilities).all():
        raise NonFinite("the probabilities hold NaN or an infinity; expected numbers between 0 and 1")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise InvalidParameter("the probabilities must lie between 0 and 1; are these scores or logits?")


def log_loss(y_index: Indices, probabilities: Matrix, *, sample_weight: Vector | None = None) -> float:
    """Mean negative log-probability of the true class, in nats per row.

    A probability below 2.2e-16, the spacing of doubles at 1, counts as that, as in scikit-learn, so that one certain
    mistake costs 36 nats and not infinity.  Raises WrongShape, NonFinite or InvalidParameter.
    """
    weights = _checked_rows(y_index, probabilities, sample_weight)
    of_truth = probabilities[np.arange(len(y_index)), y_index]
    # Subtracted from 0, not negated: certainty costs 0, not -0.
    return float(np.average(0.0 - np.log(np.maximum(of_truth, np.finfo(np.float64).eps)), weights=weights))


def brier_score(y_index: Indices, probabilities: Matrix, *, sample_weight: Vector | None = None) -> float:
    """Mean squared error of the probabilities; at most 1 for K = 2, else 2.

        K = 2: mean((p_1 - y)^2)        K > 2: mean(sum_k (p_k - [y = k])^2)

    The second formula would be twice the first for K = 2; scikit-learn has the same convention.
    Raises WrongShape, NonFinite or InvalidParameter.  Source: Brier, Monthly Weather Review 78 (1950).
    """
    weights = _checked_rows(y_index, probabilities, sample_weight)
    n_classes = probabilities.shape[1]
    squares = (probabilities - np.eye(n_classes)[y_index]) ** 2
    return float(np.average(squares[:, 1] if n_classes == 2 else squares.sum(axis=1), weights=weights))
