"""The proof that comes with a fit under an L1 penalty: a duality gap, as a sum of terms that are each ≥ 0.

::

    P(β, b) = Σᵢ sᵢ lossᵢ + Σⱼ (½ λⱼ βⱼ² + κⱼ |βⱼ|)         softmax: βⱼ of every class

For any probabilities p′ᵢ of the classes that balance, Σᵢ sᵢ (yᵢ - p′ᵢ) = 0 (for the free intercepts), and with
aⱼ = Σᵢ sᵢ xᵢⱼ (yᵢ - p′ᵢ), the inequality of Fenchel and Young, row by row and column by column, gives

    P - P* ≤ Σᵢ sᵢ KL(p′ᵢ ‖ pᵢ) + Σⱼ [½ λⱼ βⱼ² + κⱼ |βⱼ| + (|aⱼ| - κⱼ)₊² / (2 λⱼ) - aⱼ βⱼ]

where a column with λⱼ = 0 asks for |aⱼ| ≤ κⱼ.  No term is the difference of two large numbers, as primal less dual is.

Balance: p′ᵢ = yᵢ - cₗ (yᵢ - pᵢ) for the rows of class l.  With F_lk = Σ sᵢ pᵢₖ over these rows, what flows from l to
k, balance says cₖ Σ_l F_kl = Σ_l c_l F_lk: c is the stationary distribution of a Markov chain with the rates F.  It
exists always, needs no subtraction, and is constant where the intercepts are optimal.  One factor more, common to all
classes, shrinks the aⱼ until they are feasible.  Since c ≤ 1, p′ᵢ lies between pᵢ and yᵢ, and with oᵢ the probability
that pᵢ gives to the other classes, KL(p′ᵢ ‖ pᵢ) is that of two outcomes, c oᵢ against oᵢ.

Sources: R. T. Rockafellar, Convex Analysis, section 31; W. Grassmann, M. Taksar, D. Heyman, Operations Research 33,
1985, for the stationary distribution; C. O'Cinneide, Numerische Mathematik 65, 1993, for its rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.factor import EPS
from service.linear.objective import Objective, Rows

# NumPy adds pairwise along the fast axis: some 20 + log₂(n / 128) roundings in a row.
SUM_ERROR = 64 * EPS


@dataclass(frozen=True, slots=True)
class DualPoint:
    """What a point w is worth, by its dual.

    gap: P - P* is at most this.  correlation: the aⱼ before they are shrunk to be feasible, (n_params,).  rounding: a
    bound on the error of a sum over the rows like aⱼ, (n_params,).  leeway: how far the aⱼ of the probabilities at w,
    in exact arithmetic, can be from ``correlation``, (n_params,).
    """

    gap: float
    correlation: Vector
    rounding: Vector
    leeway: Vector


@dataclass(frozen=True)
class Balanced:
    """The rows at a point: residuals p - p′ before shrinking, others oᵢ, losses, c of each row (n,), the error of c."""

    residuals: Matrix
    others: Vector
    losses: Vector
    factors: Vector
    imprecision: float

    @classmethod
    def of(cls, objective: Objective, raw_prediction: Matrix) -> Balanced:
        labels = objective.class_index()
        losses, residuals = objective.losses_and_residuals(raw_prediction)
        by_class = residuals if residuals.ndim == 2 else np.column_stack([-residuals, residuals])
        others = -by_class[np.arange(len(labels)), labels]
        if not objective.rows.fit_intercept:
            return cls(residuals, others, losses, np.ones(len(labels)), 0.0)
        factors = stationary(flows(by_class, objective.rows.sample_weight, labels))
        scaled = (factors[labels] * residuals.T).T
        return cls(scaled, others, losses, factors[labels], stationary_error(len(factors)))


@dataclass(frozen=True)
class DualGap:
    """The gap of ``objective`` at any point; every column needs κ > 0."""

    objective: Objective

    def at(self, w: Vector, raw_prediction: Matrix) -> DualPoint:
        """The gap at w, (n_params,), where raw_prediction is ``objective.raw_prediction(w)``: one pass over the rows.

        Rounding is taken into account, so that the gap is never below the true one.
        """
        rows, found = self.objective.rows, Balanced.of(self.objective, raw_prediction)
        correlation = -rows.transposed_product((rows.sample_weight * found.residuals.T).T)
        # By Cauchy and Schwarz, Σ s |x r| is at most the norm of the column times that of the residuals.
        size = np.outer(self._norms(found.residuals), self.column_norms).ravel()
        norms = np.tile(self.column_norms, len(w) // rows.width)
        # A coefficient of 0 adds nothing to a logit, not even rounding.
        terms = int(np.count_nonzero(w.reshape(-1, rows.width), axis=1).max())
        wobble = (terms + 16) * EPS * float(norms @ np.abs(w))
        rounding = sum_error(rows) * size + 0.5 * wobble * norms
        error = (sum_error(rows) + 2 * found.imprecision) * size
        gap = min(
            self._of_columns(w, shrink * correlation, shrink * error) + self._of_rows(found, shrink, wobble)
            for shrink in {1.0, self._largest_feasible(np.abs(correlation) + error)}
        )
        # Had the residuals not been scaled by c ≥ min c, they would differ by (1 / min c - 1) of their size at most.
        smallest = float(found.factors.min())
        unbalanced = (1.0 / smallest - 1.0 if smallest > 0 else math.inf) * size
        return DualPoint(gap * (1.0 + rows.summation_error), correlation, rounding, rounding + error + unbalanced)

    @cached_property
    def column_norms(self) -> Vector:
        """The norms √Σ s x² of the columns and of the intercept, (width,)."""
        rows = self.objective.rows
        return np.sqrt(rows.transposed_product(rows.sample_weight, squared=True))

    def _norms(self, residuals: Matrix) -> Vector:
        """The norms √Σ s r² of each logit's residuals, (n_logits,)."""
        return np.sqrt(np.atleast_1d(self.objective.rows.sample_weight @ residuals**2))

    @cached_property
    def _is_coefficient(self) -> npt.NDArray[np.bool_]:
        rows = self.objective.rows
        return np.tile(np.arange(rows.width) < len(rows.l2), self.objective.n_params // rows.width)

    def _largest_feasible(self, size: Vector) -> float:
        """The largest factor ≤ 1 that takes all |aⱼ| to at most κⱼ, with room for the rounding of the product."""
        l1, size = self.objective.l1_params[self._is_coefficient], size[self._is_coefficient]
        factor = float(np.min(l1 / np.maximum(size, l1), initial=1.0))
        return factor if factor == 1.0 else factor * (1.0 - 16 * EPS)

    def _of_columns(self, w: Vector, correlation: Vector, error: Vector) -> float:
        """The terms of the columns, for whatever correlation is within ``error`` of the given one; inf if not feasible."""
        chosen = self._is_coefficient
        l1, l2 = self.objective.l1_params[chosen], self.objective.l2_params[chosen]
        a, error, size = correlation[chosen], error[chosen], np.abs(w[chosen])
        excess, aligned = np.maximum(np.abs(a) - l1, 0.0), np.sign(w[chosen]) * a
        if ((np.abs(a) + error > l1) & (l2 == 0)).any():
            return math.inf
        inverse = 1.0 / np.where(l2 > 0, l2, math.inf)
        agrees = aligned > l1
        terms = np.where(
            agrees,
            0.5 * inverse * (l2 * size - excess) ** 2,
            0.5 * l2 * size**2 + (l1 - aligned) * size + 0.5 * inverse * excess**2,
        )
        # As a function of aⱼ a term is convex, with this slope and at most the curvature 1 / λⱼ.
        slope = np.where(agrees, np.abs(inverse * excess - size), inverse * excess + size)
        error = error + 4 * EPS * (l1 + l2 * size)
        return float(np.sum(terms + error * slope + 0.5 * inverse * error**2))

    def _of_rows(self, found: Balanced, shrink: float, wobble: float) -> float:
        """The terms of the rows.

        wobble: a bound on √Σ s δ², δ the rounding of the logits; along it a term has slope p - p′ and at most the
        curvature 1.  The true c may be smaller by a share t: that mixes in the label, whose divergence is the loss.
        """
        s, c, others = self.objective.rows.sample_weight, shrink * found.factors, found.others
        own, moved = np.exp(-found.losses), (1.0 - c) * others
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            # Where a probability has underflowed, its logarithm is known all the same.
            log_ratio = np.fmin(np.log1p(moved / own), found.losses)
        c_log_c = c * np.log(np.where(c > 0, c, 1.0))
        divergence = (own + moved) * log_ratio - moved + others * (c_log_c + 1.0 - c)
        rounding = 8 * EPS * float(s @ moved) + 2 * found.imprecision * float(s @ found.losses)
        rounding += 2.0 * wobble * math.sqrt(float(s @ moved**2)) + 0.5 * wobble**2
        return float(s @ np.maximum(divergence, 0.0)) + rounding


def sum_error(rows: Rows) -> float:
    """Relative error bound of a sum over the rows: ``summation_error`` less what it has for a sum over a row."""
    return rows.summation_error - rows.width * EPS


def flows(residuals: Matrix, weights: Vector, labels: Index) -> Matrix:
    """F_lk = Σ sᵢ pᵢₖ over the rows of class l, (K, K) with a diagonal of 0, from the residuals p - y, (n, K)."""
    probabilities = np.maximum(residuals, 0.0) * weights[:, None]
    by_label = [np.ascontiguousarray(probabilities[labels == label].T) for label in range(residuals.shape[1])]
    return np.array([part.sum(axis=1) for part in by_label])


def stationary(rates: Matrix) -> Vector:
    """The c ≥ 0, (K,), its largest 1, with Σ_l c_l rates_lk = cₖ Σ_m rates_km, without a subtraction; rates: (K, K).

    0 where there is nothing that could be balanced, because rates have underflowed.
    """
    chain, K = rates.copy(), len(rates)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for k in range(K - 1, 0, -1):
            chain[:k, k] /= chain[k, :k].sum()
            chain[:k, :k] += np.outer(chain[:k, k], chain[k, :k])
        c = np.ones(K)
        for k in range(1, K):
            c[k] = c[:k] @ chain[:k, k]
        c /= c.max()
    return c if np.isfinite(c).all() else np.zeros(K)


def stationary_error(n_classes: int) -> float:
    """A bound on the relative error of ``stationary(flows(…))``, entry by entry.

    By the matrix-tree theorem an entry is a ratio of sums of products of K - 1 rates, all positive: errors of the rates
    come through 2 (K - 1) times at most (O'Cinneide 1993).  A step of the elimination adds some 24 roundings.
    """
    return 2.0 * n_classes * (SUM_ERROR + 12 * n_classes * EPS)
