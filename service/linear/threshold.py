"""The threshold on the probability of the second class that is best by a criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from service.errors import InvalidParameter, SingleClass
from service.linear.columns.arrays import Index, Vector
from service.linear.metrics import check_probabilities, row_weights

Criterion: TypeAlias = Literal["accuracy", "f1", "youden"]
CRITERIA: tuple[Criterion, ...] = ("accuracy", "f1", "youden")


@dataclass(frozen=True, slots=True)
class Costs:
    """What a false positive and a false negative cost, in the same unit, each ≥ 0."""

    false_positive: float
    false_negative: float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The second class is predicted where p > threshold; score: the criterion there, for costs minus the mean cost."""

    threshold: float
    score: float


def choose_threshold(
    y: Index, p: Vector, criterion: Criterion | Costs, *, sample_weight: Vector | None = None
) -> ThresholdChoice:
    """The threshold of the greatest score, y being 0 or 1, (n,), and p the probability of 1, (n,)::

        accuracy   (TP + TN) / n          f1   2 TP / (2 TP + FP + FN), 0 without a true positive
        youden     TP / (TP + FN) - FP / (FP + TN)
        Costs      -(false_positive · FP + false_negative · FN) / n

    Between two neighbouring probabilities all thresholds predict the same, and the middle is taken; predicting nothing
    is threshold 1, and everything the half of the smallest p (a p of 0 is never above a threshold).  Of thresholds with
    the same score the nearest to ½ is taken, then the smaller.  Use probabilities of rows that the fit has not seen, such
    as leave-one-out's.  Raises LengthMismatch, InvalidParameter, and SingleClass where one label has no weight.
    Source: W. Youden, Index for rating diagnostic tests, Cancer 3, 1950; C. Elkan, The foundations of cost-sensitive
    learning, IJCAI 2001.
    """
    weights = row_weights(y, p, sample_weight)
    check_probabilities(p)
    totals = np.array([weights[y == k].sum() for k in (0, 1)])
    if not totals.all():
        raise SingleClass("a threshold needs rows of both classes, with weight")
    levels, level = np.unique(p, return_inverse=True)
    # By candidate: what lies above it, from everything to nothing.
    true_positive, false_positive = (
        np.append(np.cumsum(np.bincount(level, weights=weights * (y == k))[::-1])[::-1], 0.0) for k in (1, 0)
    )
    scores = _scores(true_positive, false_positive, totals, criterion)
    candidates = np.concatenate([[levels[0] / 2], _middles(levels), [1.0]])
    # A threshold that rounding put onto the level above it would not predict that level.
    usable = np.append(candidates[:-1] < levels, True)
    scores = np.where(usable, scores, -np.inf)
    # Scores of equal counts may differ by the rounding of weighted sums.
    best = np.flatnonzero(scores >= scores.max() - 1e-12 * max(1.0, abs(float(scores.max()))))
    chosen = best[np.argmin(np.abs(candidates[best] - 0.5))]
    return ThresholdChoice(float(candidates[chosen]), float(scores[chosen]))


def _middles(levels: Vector) -> Vector:
    """Halfway between neighbours; where no double lies between, the lower one, which is not above itself."""
    middle = levels[:-1] + (levels[1:] - levels[:-1]) / 2
    return np.asarray(np.where(middle < levels[1:], middle, levels[:-1]), dtype=np.float64)


def _scores(true_positive: Vector, false_positive: Vector, totals: Vector, criterion: Criterion | Costs) -> Vector:
    n_negative, n_positive = totals
    missed = n_positive - true_positive
    if isinstance(criterion, Costs):
        cost = criterion.false_positive * false_positive + criterion.false_negative * missed
        if min(criterion.false_positive, criterion.false_negative) < 0 or not np.isfinite(cost).all():
            raise InvalidParameter("costs must be finite numbers from 0")
        return np.asarray(-cost / totals.sum(), dtype=np.float64)
    if criterion == "accuracy":
        return np.asarray(1.0 - (false_positive + missed) / totals.sum(), dtype=np.float64)
    if criterion == "f1":
        return np.asarray(2 * true_positive / (n_positive + true_positive + false_positive), dtype=np.float64)
    return np.asarray(true_positive / n_positive - false_positive / n_negative, dtype=np.float64)
