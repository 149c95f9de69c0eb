"""The penalised log-loss: the single truth for its value, gradient and Hessian.

::

    P(β, b) = Σᵢ sᵢ lossᵢ + ½ Σⱼ λⱼ βⱼ² + Σⱼ κⱼ |βⱼ|     ηᵢ = xᵢᵀβ + b (+ offsetᵢ), the intercept b is never penalised

    binary    lossᵢ = log(1 + e^ηᵢ) - yᵢ ηᵢ      y in {0, 1}; one logit a row
    softmax   lossᵢ = logsumexp(ηᵢ) - ηᵢ[yᵢ]     y in 0…K-1; K logits a row, λ and κ on every class

Parameters are one vector w: (β, b) for the binary case, (β₁, b₁, …, β_K, b_K) for softmax; without an intercept the b
are left out.  Gradients and Hessians are those of the smooth part, which is all but κ.  Passes over the rows go block
by block, each block small enough for the processor's cache; the Hessian of a block is SᵀS with S = √weight · (x, 1),
the same buffer on both sides, so that BLAS does half the work (SYRK).

Source: T. Hastie, R. Tibshirani, J. Friedman, The Elements of Statistical Learning, 2nd ed., section 4.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from service.linear.columns import Block, Columns, DenseColumns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.dense import gram_height
from service.linear.lanes import MOST_LANES, in_lanes, parts_of

__all__ = ["Index", "Matrix", "Objective", "Rows", "Vector"]

NO_L1: Vector = np.zeros(0)

# The sums of the lanes of a Gram matrix take this many numbers at most, 128 MiB.
LANE_SUMS = 1 << 24
# Rows of which a copy or two do no harm, in numbers.
SMALL = 1 << 20


@dataclass(frozen=True)
class Rows:
    """Weighted rows: X (n, p), sample_weight (n,) > 0, l2 (p,) ≥ 0, and whether there is an intercept.

    l1: (p,) ≥ 0, or empty for 0 everywhere.
    """

    X: Columns
    sample_weight: Vector
    l2: Vector
    fit_intercept: bool
    l1: Vector = field(default_factory=lambda: NO_L1)

    @cached_property
    def n_rows(self) -> int:
        return self.X.shape[0]

    @cached_property
    def n_columns(self) -> int:
        return self.X.shape[1]

    @cached_property
    def total_weight(self) -> float:
        return float(self.sample_weight.sum())

    @cached_property
    def width(self) -> int:
        """Parameters a logit: the columns, and the intercept if there is one."""
        return self.X.shape[1] + int(self.fit_intercept)

    @cached_property
    def row_numbers(self) -> int:
        """Numbers that a pass reads for a row, the intercept's 1 included."""
        return self.X.row_numbers + int(self.fit_intercept)

    @property
    def is_small_and_dense(self) -> bool:
        return isinstance(self.X, DenseColumns) and self.n_rows * self.width <= SMALL

    @cached_property
    def penalty(self) -> Vector:
        """l2 with a 0 for the intercept, shape (width,)."""
        return np.append(self.l2, np.zeros(self.width - len(self.l2)))

    @cached_property
    def absolute_penalty(self) -> Vector:
        """l1 with a 0 for the intercept, shape (width,)."""
        return np.append(self.l1, np.zeros(self.width - len(self.l1)))

    def parts(self, lane: slice | None = None) -> Iterator[tuple[slice, Block]]:
        """The blocks of a lane, or of all rows, and where they are, for a pass."""
        whole = slice(0, self.n_rows) if lane is None else lane
        return ((part, self.X.block(part)) for part in parts_of(whole, self.X.pass_height))

    def product(self, w: Vector, n_logits: int | None = None) -> Matrix:
        """(X, 1) w of one logit, (n,); of n_logits of them, w (n_logits · width,): (n, n_logits)."""
        by_logit = w.reshape(n_logits or 1, self.width)
        coef, intercept = _split(by_logit, self.n_columns, is_flat=n_logits is None)

        def part(lane: slice) -> Matrix:
            return joined([block.product(coef) for _, block in self.parts(lane)])

        result = joined(in_lanes(self.n_rows, self.row_numbers * (n_logits or 1), part))
        result += intercept
        return result

    def transposed_product(self, columns: Matrix, *, squared: bool = False) -> Vector:
        """(X, 1)ᵀ columns, for one column (n,) or K of them (n, K): (width,) or (K · width,); squared: of X² in place of X."""

        def part(lane: slice) -> Matrix:
            total = np.zeros((columns[0].size, self.width))
            for rows, block in self.parts(lane):
                values = columns[rows]
                total[:, : self.n_columns] += (block.squares() if squared else block).transposed_product(values)
                total[:, self.n_columns :] += values.sum(axis=0).reshape(-1, 1)
            return total

        return added(in_lanes(self.n_rows, self.row_numbers * columns[0].size, part)).ravel()

    def there_and_back(
        self, w: Vector, weigh: Callable[[Matrix, slice], Matrix], n_logits: int | None = None
    ) -> Vector:
        """(X, 1)ᵀ f((X, 1) w), (n_params,), each block read once: f is ``weigh`` of a block's logits, and where they are."""
        by_logit = w.reshape(n_logits or 1, self.width)
        coef, intercept = _split(by_logit, self.n_columns, is_flat=n_logits is None)

        def part(lane: slice) -> Matrix:
            total = np.zeros_like(by_logit)
            for rows, block in self.parts(lane):
                values = weigh(block.product(coef) + intercept, rows)
                total[:, : self.n_columns] += block.transposed_product(values)
                total[:, self.n_columns :] += values.sum(axis=0).reshape(-1, 1)
            return total

        return added(in_lanes(self.n_rows, self.row_numbers * len(by_logit), part)).ravel()

    def gram(self, weights: Vector, *, single: bool = False) -> Matrix:
        """(X, 1)ᵀ diag(weights) (X, 1), (width, width), for weights (n,) ≥ 0; single: see ``Block.gram``."""

        def part(lane: slice) -> Matrix:
            parts = parts_of(lane, self.X.gram_height)
            return added(
                self.X.block(rows).gram(weights[rows], with_ones=self.fit_intercept, single=single) for rows in parts
            )

        return added(in_lanes(self.n_rows, self.row_numbers, part, most=self.most_gram_lanes(self.width)))

    def most_gram_lanes(self, n_params: int) -> int:
        """Lanes for sums of n_params² numbers: a sum is worth its making for some rows only, and takes memory."""
        return min(MOST_LANES, self.n_rows // (4 * max(n_params, 1)), LANE_SUMS // max(n_params, 1) ** 2)

    def row_gram(self, column_weights: Vector) -> Matrix:
        """X diag(column_weights) Xᵀ, (n, n), for fewer rows than columns."""
        return self.X.block(slice(0, self.n_rows)).row_gram(column_weights)

    def subset(self, index: Index, factor: Vector) -> Rows:
        """The rows at ``index``, (m,) in ascending order, their weights times ``factor``, (m,)."""
        return replace(self, X=self.X.take(index), sample_weight=self.sample_weight[index] * factor)

    def select(self, columns: Index) -> Rows:
        """The rows with the columns at ``columns``, (m,), alone."""
        l1 = self.l1[columns] if len(self.l1) else self.l1
        return replace(self, X=self.X.select(columns), l2=self.l2[columns], l1=l1)

    @property
    def largest_norm(self) -> float:
        """The largest Euclidean norm of a row (x, 1); inf when its square overflows."""
        return math.hypot(self.X.moments.largest_norm, float(self.fit_intercept))

    def dense_parts(self, lane: slice | None = None) -> Iterator[tuple[slice, Matrix]]:
        """(X, 1) of the blocks of a lane, or of all rows, copies, (m, width), and where they are."""
        whole = slice(0, self.n_rows) if lane is None else lane
        return ((part, self.augmented(part)) for part in parts_of(whole, gram_height(self.width)))

    def augmented(self, rows: slice | None = None) -> Matrix:
        """(X, 1) of some rows in one piece, or of all, a copy, (m, width)."""
        numbers = self.X.block(slice(0, self.n_rows) if rows is None else rows).dense()
        copy = np.ones((len(numbers), self.width))
        copy[:, : self.n_columns] = numbers
        return copy

    @cached_property
    def single_rounding(self) -> float:
        """A bound on the error of an element of ``gram(…, single=True)``, relative to the root of its two diagonal ones.

        A sum over the rows of a block of products of numbers that were rounded a few times (Higham 3.1).
        """
        return (min(self.X.gram_height, gram_height(self.width), self.n_rows) + 16) * 2.0**-24

    @cached_property
    def summation_error(self) -> float:
        """Relative error bound of a dot product over a row and of a blocked sum over the rows, γ ≈ m·eps (Higham 3.1)."""
        heights = self.X.pass_height, self.X.gram_height
        longest = max(heights) + self.n_rows / min(heights)
        return float(min(longest, self.n_rows) + self.width + 16) * float(np.finfo(np.float64).eps)


def _split(by_logit: Matrix, n_columns: int, *, is_flat: bool) -> tuple[Matrix, Vector]:
    """The coefficients (p, k) and the constants (k,); flat, for one logit: (p,) and (1,)."""
    coef, intercept = by_logit[:, :n_columns], by_logit[:, n_columns:].sum(axis=1)
    return (coef[0], intercept) if is_flat else (np.ascontiguousarray(coef.T), intercept)


def joined(parts: list[Matrix]) -> Matrix:
    """The parts one after the other; one alone is itself."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def added(parts: Iterable[Matrix]) -> Matrix:
    """The sum of the parts in their order; the first is overwritten."""
    rest = iter(parts)
    total = next(rest)
    for part in rest:
        total += part
    return total


class Objective(Protocol):
    """What solvers and certificates know of a penalised log-loss.  w: (n_params,); η: the logits of all rows."""

    @property
    def rows(self) -> Rows: ...
    @property
    def n_params(self) -> int: ...
    @property
    def l2_params(self) -> Vector:
        """λ of every parameter, shape (n_params,), 0 for intercepts."""

    @property
    def l1_params(self) -> Vector:
        """κ of every parameter, shape (n_params,), 0 for intercepts."""

    def penalty_at(self, w: Vector) -> float:
        """½ Σ λⱼ wⱼ² + Σ κⱼ |wⱼ|."""

    def centred(self, w: Vector) -> Vector:
        """The parameters of the least penalty that give the probabilities of w: with sum 0 over classes for softmax."""

    def raw_prediction(self, w: Vector) -> Matrix:
        """η at w, without the offset: linear in w."""

    def value_at(self, raw_prediction: Matrix, w: Vector) -> float:
        """P, given η = raw_prediction(w), at the cost of no product with X."""

    def losses_and_residuals(self, raw_prediction: Matrix) -> tuple[Vector, Matrix]:
        """The loss of each row, (n,), and p - y of each logit, shaped like η = raw_prediction; nothing cancels in either."""

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """P, and ∇P of its smooth part, in one pass over the rows, in lanes."""

    def subset(self, index: Index, factor: Vector) -> Objective:
        """The objective of the rows at ``index``, (m,), their weights times ``factor``, (m,), with the same penalty."""

    def class_index(self) -> Index:
        """The class of each row as 0…K-1, (n,)."""

    def value_gradient_hessian(self, w: Vector, *, single: bool = False) -> tuple[float, Vector, Matrix]:
        """P, ∇P and ∇²P in one pass.  Softmax: plus the gauge term, see ``SoftmaxObjective``.

        single: the Hessian's products may be rounded to single precision: see ``Rows.single_rounding``.
        """

    def hessian_product(self, w: Vector) -> tuple[Callable[[Vector], Vector], Vector]:
        """A function v → ∇²P(w) v (softmax: without the gauge), two passes a call, and the diagonal of ∇²P(w)."""

    def intercept_hessian(self, w: Vector) -> Matrix:
        """The rows of ∇²P that belong to the intercepts, (n_logits, n_params), without the rest; softmax: with the gauge."""

    def gradient_function(self) -> Callable[[Vector], Vector]:
        """A function w → ∇P with its own buffers, for many calls on few rows; it overwrites its last result.

        It may overflow to inf on the way (never in the result): call it under ``np.errstate(over="ignore")``.
        A residual is p - y by subtraction: its error is eps, where that of the other gradients is eps times itself.
        """

    def largest_change(self, raw_step: Matrix) -> float:
        """The largest over rows of |change of η| (binary) or of the range of the change over classes (softmax)."""

    def largest_leverage(self, factor: Matrix) -> float:
        """R² = max over rows (softmax: and class pairs) of aᵀ F Fᵀ a, where ``factor`` is F, (n_params, r)."""

    def gradient_rounding(self, w: Vector) -> Vector:
        """A bound on the rounding error of ∇P at w, shape (n_params,)."""

    def separates(self, w: Vector) -> bool:
        """Whether every row is on its right side of w by more than rounding: w proves complete separation."""

    def with_columns(self, X: Columns, l2: Vector, l1: Vector = NO_L1) -> Objective:
        """The same labels, weights and offset over other columns X, (n, q), penalised by l2 and l1, (q,)."""

    def without_penalty(self) -> Objective:
        """The same loss with λ = κ = 0."""

    def restricted(self, columns: Index, w: Vector) -> tuple[Objective, Vector]:
        """The same loss as a function of the coefficients of some columns, (m,), and of the intercepts; and their start.

        The other coefficients of w are held fixed, and what their penalty adds is left out.
        """
