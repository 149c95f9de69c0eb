"""The penalised log-loss of K classes: see ``objective`` for the formula and the layout of w."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.linear.columns import Block, Columns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.lanes import in_lanes
from service.linear.link import log_sum_of_shifted, softmax
from service.linear.objective import NO_L1, Rows, added

# Pairs of more classes take longer than they are worth.
MOST_CLASSES_IN_PAIRS = 20


@dataclass(frozen=True)
class SoftmaxObjective:
    """The log-loss of K classes; y: (n,) of indices 0…K-1; offset: (n, K) added to η, or 0.

    Adding the same vector to the parameters of all classes changes no probability.  These directions carry no
    curvature but the penalty's; the Hessian gets (1/K) 11ᵀ ⊗ D, D ≥ 0, along them (the gauge), so that it can be
    factored.  Iterates that start centred (the parameters sum to 0 over classes) stay centred, and there the gauge
    term is 0.
    """

    rows: Rows
    y: Index
    n_classes: int
    offset: Matrix | float = 0.0

    @property
    def n_params(self) -> int:
        return self.n_classes * self.rows.width

    @cached_property
    def l2_params(self) -> Vector:
        return np.tile(self.rows.penalty, self.n_classes)

    @property
    def l1_params(self) -> Vector:
        return np.tile(self.rows.absolute_penalty, self.n_classes)

    def penalty_at(self, w: Vector) -> float:
        return float(0.5 * (self.l2_params * w) @ w + self.l1_params @ np.abs(w))

    def centred(self, w: Vector) -> Vector:
        by_class = w.reshape(self.n_classes, self.rows.width)
        return np.asarray(by_class - by_class.mean(axis=0), dtype=np.float64).ravel()

    def raw_prediction(self, w: Vector) -> Matrix:
        return self.rows.product(w, self.n_classes)

    def value_at(self, raw_prediction: Matrix, w: Vector) -> float:
        return float(self.rows.sample_weight @ self._losses(raw_prediction + self.offset)) + self.penalty_at(w)

    def _losses(self, z: Matrix) -> Vector:
        shifted = z - z.max(axis=1, keepdims=True)
        return np.asarray(log_sum_of_shifted(shifted) - shifted[np.arange(len(z)), self.y], dtype=np.float64)

    def losses_and_residuals(self, raw_prediction: Matrix) -> tuple[Vector, Matrix]:
        z = raw_prediction + self.offset
        return self._losses(z), residuals(softmax(z), self.y)

    def value(self, w: Vector) -> float:
        """P at w, in nats times weight."""
        return self.value_at(self.raw_prediction(w), w)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """P at w, and ∇P: for class k, Σ sᵢ (pᵢₖ - [yᵢ = k]) (xᵢ, 1) + λ wₖ."""
        parts = in_lanes(
            self.rows.n_rows, self.rows.row_numbers * self.n_classes, lambda lane: self._loss_and_gradient(lane, w)
        )
        loss = sum(loss for loss, _ in parts)
        gradient = added(gradient for _, gradient in parts)
        return loss + self.penalty_at(w), gradient + self.l2_params * w

    def _loss_and_gradient(self, lane: slice, w: Vector) -> tuple[float, Vector]:
        """Σ s loss and its gradient over a lane, each block read once while it is in the cache."""
        n_columns, loss = self.rows.n_columns, 0.0
        gradient = np.zeros((self.n_classes, self.rows.width))
        for part, block in self.rows.parts(lane):
            s, y = self.rows.sample_weight[part], self.y[part]
            z = self._logits_of(block, w)
            z += self._offset_of(part)
            z -= z.max(axis=1, keepdims=True)
            own = np.arange(len(y)), y
            loss += float(s @ (log_sum_of_shifted(z) - z[own]))
            residual = residuals(softmax(z), y)
            residual *= s[:, None]
            gradient[:, :n_columns] += block.transposed_product(residual)
            gradient[:, n_columns:] += residual.sum(axis=0)[:, None]
        return loss, gradient.ravel()

    def subset(self, index: Index, factor: Vector) -> SoftmaxObjective:
        offset = self.offset if isinstance(self.offset, float) else self.offset[index]
        return SoftmaxObjective(self.rows.subset(index, factor), self.y[index], self.n_classes, offset)

    def class_index(self) -> Index:
        return self.y

    def value_gradient_hessian(self, w: Vector, *, single: bool = False) -> tuple[float, Vector, Matrix]:
        raw = self.raw_prediction(w)
        parts = in_lanes(
            self.rows.n_rows,
            self.n_params,
            lambda lane: self._gradient_and_hessian(lane, raw, np.float32 if single else np.float64),
            most=self.rows.most_gram_lanes(self.n_params),
        )
        gradient = added(gradient for gradient, _ in parts) + self.l2_params * w
        hessian = added(part for _, part in parts)
        hessian.flat[:: self.n_params + 1] += self.l2_params
        self._add_gauge(hessian)
        return self.value_at(raw, w), gradient, hessian

    def _gradient_and_hessian(self, lane: slice, raw: Matrix, dtype: npt.DTypeLike) -> tuple[Vector, Matrix]:
        """Over a lane: between two classes -Σ s pₖ pⱼ x xᵀ, all in one product; within one Σ s pₖ (1 - pₖ) x xᵀ, by itself,
        where nothing may cancel.
        """
        K, width = self.n_classes, self.rows.width
        gradient, hessian = np.zeros((K, width)), np.zeros((self.n_params, self.n_params))
        own = [slice(k * width, (k + 1) * width) for k in range(K)]
        diagonal = np.zeros((K, width, width))
        for part, rows in self.rows.dense_parts(lane):
            p, s = softmax(raw[part] + self._offset_of(part)), self.rows.sample_weight[part]
            gradient += (s[:, None] * residuals(p, self.y[part])).T @ rows
            weighted = (np.sqrt(s)[:, None] * rows).astype(dtype, copy=False)
            p = p.astype(dtype, copy=False)
            joint = (p[:, :, None] * weighted[:, None, :]).reshape(len(rows), -1)
            hessian -= joint.T @ joint
            spread = np.sqrt(p * others(p))
            for k in range(K):
                scaled = spread[:, k, None] * weighted
                diagonal[k] += scaled.T @ scaled
        for k in range(K):
            hessian[own[k], own[k]] = diagonal[k]
        return gradient.ravel(), hessian

    def hessian_product(self, w: Vector) -> tuple[Callable[[Vector], Vector], Vector]:
        p, s = softmax(self.raw_prediction(w) + self.offset), self.rows.sample_weight[:, None]

        def change(z: Matrix, rows: slice) -> Matrix:
            z -= (p[rows] * z).sum(axis=1, keepdims=True)
            z *= p[rows]
            z *= s[rows]
            return z

        def product(v: Vector) -> Vector:
            return self.rows.there_and_back(v, change, self.n_classes) + self.l2_params * v

        return product, self.rows.transposed_product(s * p * others(p), squared=True) + self.l2_params

    def intercept_hessian(self, w: Vector) -> Matrix:
        p, K = softmax(self.raw_prediction(w) + self.offset), self.n_classes
        hessian, own = np.zeros((K, K, self.rows.width)), p * others(p)
        for k in range(K):
            curvature = -p * p[:, k, None]
            curvature[:, k] = own[:, k]
            curvature *= self.rows.sample_weight[:, None]
            hessian[k] = self.rows.transposed_product(curvature).reshape(K, -1)
        diagonal = float(np.trace(hessian[:, :, -1])) / K
        hessian[:, :, -1] += (diagonal if diagonal > 0 else 1.0) / K
        return hessian.reshape(K, -1)

    def _add_gauge(self, hessian: Matrix) -> None:
        """Add (1/K) 11ᵀ ⊗ D with D the mean curvature of a parameter over the classes."""
        K, width = self.n_classes, self.rows.width
        curvature = hessian.diagonal().reshape(K, width).mean(axis=0)
        parameter = np.arange(width)
        hessian.reshape(K, width, K, width)[:, parameter, :, parameter] += (curvature / K)[:, None, None]

    def _offset_of(self, rows: slice) -> Matrix | float:
        return self.offset if isinstance(self.offset, float) else self.offset[rows]

    def gradient_function(self) -> Callable[[Vector], Vector]:
        if not self.rows.is_small_and_dense:
            return lambda w: self.value_and_gradient(w)[1]
        rows, y = self.rows.augmented(), np.eye(self.n_classes)[self.y]
        weighted = rows * self.rows.sample_weight[:, None]
        p, penalty = np.empty((self.rows.n_rows, self.n_classes)), self.l2_params
        offset, gradient = self.offset, np.empty((self.n_classes, self.rows.width))

        def gradient_at(w: Vector) -> Vector:
            np.dot(rows, w.reshape(self.n_classes, -1).T, out=p)
            np.add(p, offset, out=p)
            np.subtract(p, p.max(axis=1, keepdims=True), out=p)
            np.exp(p, out=p)
            np.divide(p, p.sum(axis=1, keepdims=True), out=p)
            np.subtract(p, y, out=p)
            np.dot(p.T, weighted, out=gradient)
            return gradient.ravel() + penalty * w

        return gradient_at

    def largest_change(self, raw_step: Matrix) -> float:
        return float(np.ptp(raw_step, axis=1).max(initial=0.0))

    def largest_leverage(self, factor: Matrix) -> float:
        """See ``Objective``; for a pair of classes, a = (eₖ - eⱼ) ⊗ (x, 1).

        Of many classes a bound: the norm of a difference is at most the sum of the norms.
        """
        by_class, largest = factor.reshape(self.n_classes, self.rows.width, -1), 0.0
        # Without columns every row is the same.
        parts = self.rows.dense_parts(None if self.rows.n_columns else slice(0, 1))
        for _, rows in parts:
            projected = np.einsum("ip,kpr->kir", rows, by_class, optimize=True)
            if self.n_classes > MOST_CLASSES_IN_PAIRS:
                norms = np.sort(np.sqrt((projected**2).sum(axis=2)), axis=0)
                largest = max(largest, float((norms[-1] + norms[-2]).max()) ** 2)
                continue
            for k in range(self.n_classes):
                for j in range(k):
                    largest = max(largest, float(((projected[k] - projected[j]) ** 2).sum(axis=1).max()))
        return largest

    def gradient_rounding(self, w: Vector) -> Vector:
        total = np.zeros((self.n_classes, self.rows.width))
        for part, block in self.rows.parts():
            size, p = block.magnitudes(), softmax(self._logits_of(block, w) + self._offset_of(part))
            moved = self._logits_of(size, np.abs(w))
            # The rounding of η moves p_k by p_k (1 - p_k) for its own logit and by p_k p_j for another.
            wobble = p * (others(p) * moved + others(p * moved))
            wobble += np.abs(residuals(p, self.y[part]))
            wobble *= self.rows.sample_weight[part, None]
            total[:, : self.rows.n_columns] += size.transposed_product(wobble)
            total[:, self.rows.n_columns :] += wobble.sum(axis=0)[:, None]
        error = total.ravel() + np.abs(self.l2_params * w)
        return np.asarray(self.rows.summation_error * error, dtype=np.float64)

    def _logits_of(self, block: Block, w: Vector) -> Matrix:
        by_class, n_columns = w.reshape(self.n_classes, -1), self.rows.n_columns
        product = block.product(np.ascontiguousarray(by_class[:, :n_columns].T))
        product += by_class[:, n_columns:].sum(axis=1)
        return product

    def separates(self, w: Vector) -> bool:
        for part, block in self.rows.parts():
            raw, own = self._logits_of(block, w), (np.arange(block.shape[0]), self.y[part])
            right = raw[own].copy()
            raw[own] = -np.inf
            margins = right - raw.max(axis=1)
            if not (margins > 0).all():
                return False
            moved = self._logits_of(block.magnitudes(), np.abs(w)).max(axis=1)
            if not (margins > 2 * self.rows.summation_error * moved).all():
                return False
        return True

    def with_columns(self, X: Columns, l2: Vector, l1: Vector = NO_L1) -> SoftmaxObjective:
        return replace(self, rows=replace(self.rows, X=X, l2=l2, l1=l1))

    def without_penalty(self) -> SoftmaxObjective:
        return replace(self, rows=replace(self.rows, l2=np.zeros_like(self.rows.l2), l1=NO_L1))

    def restricted(self, columns: Index, w: Vector) -> tuple[SoftmaxObjective, Vector]:
        kept = np.append(columns, np.arange(self.rows.n_columns, self.rows.width))
        held = w.reshape(self.n_classes, -1).copy()
        start = held[:, kept].ravel()
        held[:, kept] = 0.0
        rows = self.rows.select(columns)
        offset = self.offset + self.rows.product(held.ravel(), self.n_classes)
        return replace(self, rows=rows, offset=offset), start


def others(p: Matrix) -> Matrix:
    """1 - p as the sum of the other classes, so that nothing cancels: (n, K) → (n, K), from both sides."""
    result = np.zeros_like(p)
    np.cumsum(p[:, :-1], axis=1, out=result[:, 1:])
    result[:, :-1] += np.cumsum(p[:, :0:-1], axis=1)[:, ::-1]
    return result


def residuals(p: Matrix, y: Index) -> Matrix:
    """The residuals p - one-hot(y), the own class as minus the sum of the others, so that nothing cancels: (n, K) → (n, K)."""
    result = p.copy()
    own = np.arange(len(p)), y
    result[own] = 0.0
    result[own] = -result.sum(axis=1)
    return result
