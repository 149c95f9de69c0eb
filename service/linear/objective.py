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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.lanes import in_lanes

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]
Index: TypeAlias = npt.NDArray[np.intp]

BLOCK_NUMBERS = 1 << 16  # 512 KiB of float64: a block and its copy stay in a 2 MiB second-level cache
PASS_NUMBERS = 1 << 17  # a block that is only read needs no copy; longer vectors spare calls
NO_L1: Vector = np.zeros(0)


@dataclass(frozen=True)
class Rows:
    """Weighted rows: X (n, p) float64, sample_weight (n,) > 0, l2 (p,) ≥ 0, and whether there is an intercept.

    l1: (p,) ≥ 0, or empty for 0 everywhere.
    """

    X: Matrix
    sample_weight: Vector
    l2: Vector
    fit_intercept: bool
    l1: Vector = field(default_factory=lambda: NO_L1)

    @property
    def n_rows(self) -> int:
        return len(self.X)

    @property
    def total_weight(self) -> float:
        return float(self.sample_weight.sum())

    @property
    def width(self) -> int:
        """Parameters a logit: the columns, and the intercept if there is one."""
        return int(self.X.shape[1]) + int(self.fit_intercept)

    @cached_property
    def penalty(self) -> Vector:
        """l2 with a 0 for the intercept, shape (width,)."""
        return np.append(self.l2, np.zeros(self.width - len(self.l2)))

    @cached_property
    def absolute_penalty(self) -> Vector:
        """l1 with a 0 for the intercept, shape (width,)."""
        return np.append(self.l1, np.zeros(self.width - len(self.l1)))

    def blocks(self, lane: slice | None = None) -> Iterator[slice]:
        """The blocks of a lane, or of all rows, for work on a copy of the rows."""
        start, stop = (0, self.n_rows) if lane is None else (lane.start, lane.stop)
        return (slice(first, min(first + self._height, stop)) for first in range(start, stop, self._height))

    @property
    def _height(self) -> int:
        # Below some hundred rows a product of matrices does not reach its speed, however wide they are.
        return max(256, BLOCK_NUMBERS // max(self.width, 1))

    def pass_blocks(self, lane: slice) -> Iterator[slice]:
        """The blocks of a lane for a pass that makes no copy of the rows."""
        rows = max(256, PASS_NUMBERS // max(self.width, 1))
        return (slice(start, min(start + rows, lane.stop)) for start in range(lane.start, lane.stop, rows))

    def transposed_product(self, columns: Matrix, *, squared: bool = False) -> Vector:
        """(X, 1)ᵀ columns, for one column (n,) or K of them (n, K): (width,) or (K · width,); squared: of X² in place of X."""

        def part(lane: slice) -> Matrix:
            total = np.zeros((columns[0].size, self.width))
            for block in self.pass_blocks(lane):
                X, values = self.X[block], columns[block].reshape(len(columns[block]), -1)
                total[:, : X.shape[1]] += values.T @ (X**2 if squared else X)
                total[:, X.shape[1] :] += values.sum(axis=0)[:, None]
            return total

        return np.asarray(np.sum(in_lanes(self.n_rows, self.width, part), axis=0).ravel(), dtype=np.float64)

    def row_gram(self, column_weight: Vector) -> Matrix:
        """X diag(column_weight) Xᵀ, (n, n), for fewer rows than columns: in lanes over the columns."""

        def part(columns: slice) -> Matrix:
            scaled = self.X[:, columns] * np.sqrt(column_weight[columns])
            return np.asarray(scaled @ scaled.T, dtype=np.float64)

        gram = np.zeros((self.n_rows, self.n_rows))
        for lane in in_lanes(self.X.shape[1], self.n_rows, part):
            gram += lane
        return gram

    def subset(self, index: Index, factor: Vector) -> Rows:
        """The rows at ``index``, (m,), their weights times ``factor``, (m,)."""
        return replace(self, X=self.X[index], sample_weight=self.sample_weight[index] * factor)

    @cached_property
    def largest_norm(self) -> float:
        """The largest Euclidean norm of a row (x, 1); inf when its square overflows."""

        def largest(lane: slice) -> float:
            with np.errstate(over="ignore"):
                squares = (np.einsum("ij,ij->i", self.X[b], self.X[b]).max() for b in self.pass_blocks(lane))
                return float(max(squares, default=0.0))

        return math.sqrt(max(in_lanes(self.n_rows, self.width, largest)) + int(self.fit_intercept))

    def augmented(self, block: slice = slice(None)) -> Matrix:
        """(X, 1) of a block of rows, a copy, (m, width)."""
        block_of_X = self.X[block]
        rows = np.ones((len(block_of_X), self.width))
        rows[:, : block_of_X.shape[1]] = block_of_X
        return rows

    @cached_property
    def summation_error(self) -> float:
        """Relative error bound of a dot product over a row and of a blocked sum over the rows, γ ≈ m·eps (Higham 3.1)."""
        longest = max(self._height, PASS_NUMBERS // max(self.width, 1)) + self.n_rows / self._height
        return float(min(longest, self.n_rows) + self.width + 16) * float(np.finfo(np.float64).eps)


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

    def value_gradient_hessian(self, w: Vector) -> tuple[float, Vector, Matrix]:
        """P, ∇P and ∇²P in one pass.  Softmax: plus the gauge term, see ``SoftmaxObjective``."""

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

    def with_columns(self, X: Matrix, l2: Vector, l1: Vector = NO_L1) -> Objective:
        """The same labels, weights and offset over other columns X, (n, q), penalised by l2 and l1, (q,)."""

    def without_penalty(self) -> Objective:
        """The same loss with λ = κ = 0."""

    def intercept_only(self, w: Vector) -> tuple[Objective, Vector]:
        """The same loss as a function of the intercepts alone, the coefficients of w held fixed; and their start."""
