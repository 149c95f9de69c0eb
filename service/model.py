"""``Model``: fitted parameters with their schema, and what they say of a ``Table``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import InvalidParameter, NumericOverflow
from service.linear.intervals import probability_intervals
from service.linear.rowwise import LARGEST_LOGIT, FewRows, probabilities_of, rowwise_product
from service.tabular.design import Design
from service.tabular.schema import NumericFeature, Schema
from service.tabular.table import Table

Label: TypeAlias = bool | int | str
Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for n rows: the index of each row's class, probabilities (n, K), both by ``classes``, and who answered.

    intervals: limits of the probabilities, if they were asked for.
    """

    choices: list[int]
    probabilities: Matrix
    classes: tuple[Label, ...]
    model: str
    version: int
    explanations: tuple[Explanation, ...] | None = None
    intervals: Intervals | None = None

    @property
    def labels(self) -> list[Label]:
        """The class of each row."""
        return [self.classes[choice] for choice in self.choices]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Limits of probabilities, (n, K, 2): low and high, which hold the true probability with confidence ``level``."""

    level: float
    limits: Matrix


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row's logit as a sum: baseline (the logit of the average row) + one contribution a feature.

    Shapes: logit and baseline (k,), contributions (n_features, k); k is 1 for two classes (the logit of the second
    class), else the number of classes.  baseline + contributions.sum(axis=0) == logit exactly, in any order of
    summation.
    """

    features: tuple[str, ...]
    logit: Vector
    baseline: Vector
    contributions: Matrix


@dataclass(frozen=True)
class Model:
    """A fitted logistic regression on raw columns.

    classes: the labels, sorted.  coef: (k, n_columns) and intercept: (k,) with k = 1 for two classes and k = K
    otherwise.  standard_errors: (k, n_columns + 1), the intercept last, or None.  shrinkage_bias: how far the penalty
    moves the same parameters on average, or None.  covariance: of them in the same order, (k (n_columns + 1),
    k (n_columns + 1)), or None.
    """

    schema: Schema
    classes: tuple[Label, ...]
    coef: Matrix
    intercept: Vector
    drop_first: bool = False
    standard_errors: Matrix | None = None
    shrinkage_bias: Matrix | None = None
    covariance: Matrix | None = None

    @cached_property
    def design(self) -> Design:
        return Design(self.schema, self.drop_first)

    @property
    def is_binary(self) -> bool:
        return len(self.classes) == 2

    def logits(self, table: Table) -> Matrix:
        """X coefᵀ + intercept, shape (n_rows, k); finite for every finite row.  Errors: ``Schema.conform``.

        Where one of a row's leaves the range of doubles they saturate, those of several classes less their largest.
        """
        return self._logits(self.design.matrix(table))

    def _logits(self, matrix: Matrix) -> Matrix:
        # A product beyond 1.8e308 is a certain answer, not an error: it saturates.
        with np.errstate(over="ignore", invalid="ignore"):
            logits = rowwise_product(matrix, self.coef, self.intercept)
        # Of these rows alone: the others keep the bits that they have without them.
        beyond = ~(np.abs(logits) <= LARGEST_LOGIT).all(axis=1)
        if beyond.any():
            logits[beyond] = self._scaled_logits(matrix[beyond])
        return np.asarray(np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT), dtype=np.float64)

    def _scaled_logits(self, matrix: Matrix) -> Matrix:
        """The same sum with every row scaled into range first, so that its sign is right where it overflows.

        Of several classes each less the largest, which softmax takes for the same: cut off they would be equal.
        """
        scale = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1.0)
        shrunk = rowwise_product(matrix / scale, self.coef, np.zeros_like(self.intercept)) + self.intercept / scale
        if not self.is_binary:
            shrunk -= shrunk.max(axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            return np.asarray(shrunk * scale, dtype=np.float64)

    def probabilities(self, rows: Table | Matrix) -> Matrix:
        """P(class | row), shape (n_rows, K), rows sum to 1.

        rows: a table, or for a plain model its finite numbers in the schema's order.  Errors: ``Schema.conform``.
        """
        return probabilities_of(self._logits(self._matrix(rows)))

    def _matrix(self, rows: Table | Matrix) -> Matrix:
        return self.design.matrix(rows) if isinstance(rows, Table) else rows

    @cached_property
    def is_plain(self) -> bool:
        """Whether the finite numbers of a row are its matrix row: every feature is numeric, without indicator."""
        return all(isinstance(one, NumericFeature) and not one.has_indicator for one in self.schema.features)

    def few_probabilities(self, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """``probabilities`` of a plain model: the same bits, in less time for up to about eight rows."""
        found = self.few_rows.probabilities(rows)
        return self.probabilities(np.array(rows, dtype=np.float64)).tolist() if found is None else found

    @cached_property
    def few_rows(self) -> FewRows:
        """The same without the check of each logit's range."""
        return FewRows(self.coef, self.intercept)

    def intervals(self, rows: Table | Matrix, level: float) -> Intervals:
        """How sure each probability is, by the delta method on its log-odds: see ``probability_intervals``.

        Raises InvalidParameter for a level that is not between 0 and 1, or when the model has no covariance; errors
        otherwise: ``Schema.conform``.
        """
        if self.covariance is None:
            raise InvalidParameter(
                "intervals need the covariance of the coefficients, which this version has not; train anew, to the "
                "optimum and with at most some hundred coefficients",
                pointer="/interval",
            )
        matrix = self._matrix(rows)
        logits = self._logits(matrix)
        p = probabilities_of(logits)
        limits = probability_intervals(matrix, logits, self.covariance, level)
        # The two are rounded apart: where the interval is a point, the probability may be its neighbour.
        return Intervals(level, np.stack([np.minimum(limits[..., 0], p), np.maximum(limits[..., 1], p)], axis=-1))

    def choices(self, probabilities: Matrix, threshold: float | None = None) -> list[int]:
        """The index of the most probable class of each row; a tie goes to the first of ``classes``.

        threshold: two classes only, in [0, 1]: the second class is predicted where p > threshold, so that
        p = threshold is the first class.  Raises InvalidParameter.
        """
        if threshold is None:
            return list(probabilities.argmax(axis=1).tolist())
        if not self.is_binary:
            raise InvalidParameter(
                f"threshold is for two classes; this model has {len(self.classes)}", pointer="/threshold"
            )
        if not 0 <= threshold <= 1:
            raise InvalidParameter("threshold must be a number from 0 to 1", pointer="/threshold")
        return [int(above) for above in probabilities[:, 1] > threshold]

    def labels(self, probabilities: Matrix, threshold: float | None = None) -> list[Label]:
        """The classes of ``choices``."""
        return [self.classes[choice] for choice in self.choices(probabilities, threshold)]

    def explain(self, rows: Table | Matrix) -> tuple[Explanation, ...]:
        """Each row's logit, taken apart by feature: coef · (x - training mean).

        Raises NumericOverflow where the terms are too large to add up; errors otherwise: ``Schema.conform``.
        """
        matrix = self._matrix(rows)
        baseline = self.design.means @ self.coef.T + self.intercept
        by_feature = np.zeros((len(matrix), len(self.schema.features), len(baseline)))
        with np.errstate(over="ignore", invalid="ignore"):
            by_column = (matrix - self.design.means)[:, :, None] * self.coef.T[None, :, :]
            for column, feature in enumerate(self.design.feature_of_column):
                by_feature[:, feature] += by_column[:, column]
            size = np.abs(by_feature).sum(axis=1) + np.abs(baseline)
        if not (size <= LARGEST_LOGIT).all():
            row = int(np.argmin((size <= LARGEST_LOGIT).all(axis=1)))
            raise NumericOverflow(
                f"the terms of row {row}'s logit leave the range of 64-bit floats; ask without explain",
                pointer=rows.row_pointer(row) if isinstance(rows, Table) else f"/instances/{row}",
            )
        return tuple(self._explanation(baseline, contributions) for contributions in by_feature)

    def _explanation(self, baseline: Vector, contributions: Matrix) -> Explanation:
        terms = exact_terms(np.vstack([baseline, contributions]))
        return Explanation(self.schema.names, logit=terms.sum(axis=0), baseline=terms[0], contributions=terms[1:])


def exact_terms(terms: Matrix) -> Matrix:
    """The terms (m, k) rounded to a grid on which every partial sum over m is a double: they add up exactly."""
    _, exponent = np.frexp(np.abs(terms).sum(axis=0))
    grid = np.ldexp(1.0, exponent - 52)
    return np.asarray(np.round(terms / grid) * grid, dtype=np.float64)
