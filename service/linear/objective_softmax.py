"""The penalised log-loss of K classes: see ``objective`` for the formula and the layout of w."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.linear.lanes import MOST_LANES, in_lanes
from service.linear.link import log_sum_of_shifted, softmax
from service.linear.objective import NO_L1, Index, Matrix, Rows, Vector


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

    @property
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
        by_class = w.reshape(self.n_classes, self.rows.width)
        n_columns = self.rows.X.shape[1]
        return np.asarray(
            self.rows.X @ by_class[:, :n_columns].T + by_class[:, n_columns:].sum(axis=1), dtype=np.float64
        )

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
            self.rows.n_rows, self.rows.width * self.n_classes, lambda lane: self._loss_and_gradient(lane, w)
        )
        loss = sum(loss for loss, _ in parts)
        gradient = np.sum([gradient for _, gradient in parts], axis=0)
        return loss + self.penalty_at(w), gradient + self.l2_params * w

    def _loss_and_gradient(self, lane: slice, w: Vector) -> tuple[float, Vector]:
        """Σ s loss and its gradient over a lane, each block read once while it is in the cache."""
        by_class, n_columns = w.reshape(self.n_classes, self.rows.width), self.rows.X.shape[1]
        loss, gradient = 0.0, np.zeros((self.n_classes, self.rows.width))
        for block in self.rows.pass_blocks(lane):
            X, s, y = self.rows.X[block], self.rows.sample_weight[block], self.y[block]
            z = X @ by_class[:, :n_columns].T + by_class[:, n_columns:].sum(axis=1)
            z += self.offset if isinstance(self.offset, float) else self.offset[block]
            z -= z.max(axis=1, keepdims=True)
            own = np.arange(len(y)), y
            loss += float(s @ (log_sum_of_shifted(z) - z[own]))
            residual = residuals(softmax(z), y)
            residual *= s[:, None]
            gradient[:, :n_columns] += residual.T @ X
            gradient[:, n_columns:] += residual.sum(axis=0)[:, None]
        return loss, gradient.ravel()

    def subset(self, index: Index, factor: Vector) -> SoftmaxObjective:
        offset = self.offset if isinstance(self.offset, float) else self.offset[index]
        return SoftmaxObjective(self.rows.subset(index, factor), self.y[index], self.n_classes, offset)

    def class_index(self) -> Index:
        return self.y

    def value_gradient_hessian(self, w: Vector) -> tuple[float, Vector, Matrix]:
        raw = self.raw_prediction(w)
        parts = in_lanes(
            self.rows.n_rows,
            self.n_params,
            lambda lane: self._gradient_and_hessian(lane, raw),
            most=min(MOST_LANES, self.rows.n_rows // (4 * self.n_params)),
        )
        gradient = np.sum([gradient for gradient, _ in parts], axis=0) + self.l2_params * w
        hessian = np.diag(self.l2_params)
        for _, part in parts:
            hessian += part
        return self.value_at(raw, w), gradient, hessian + self._gauge(hessian)

    def _gradient_and_hessian(self, lane: slice, raw: Matrix) -> tuple[Vector, Matrix]:
        """Over a lane: between two classes -Σ s pₖ pⱼ x xᵀ, all in one product; within one Σ s pₖ (1 - pₖ) x xᵀ, by itself,
        where nothing may cancel.
        """
        K, width = self.n_classes, self.rows.width
        gradient, hessian = np.zeros((K, width)), np.zeros((self.n_params, self.n_params))
        own = [slice(k * width, (k + 1) * width) for k in range(K)]
        diagonal = np.zeros((K, width, width))
        for block in self.rows.blocks(lane):
            offset = self.offset if isinstance(self.offset, float) else self.offset[block]
            p, s = softmax(raw[block] + offset), self.rows.sample_weight[block]
            rows = self.rows.augmented(block)
            gradient += (s[:, None] * residuals(p, self.y[block])).T @ rows
            rows *= np.sqrt(s)[:, None]
            joint = (p[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
            hessian -= joint.T @ joint
            for k in range(K):
                scaled = np.sqrt(p[:, k] * others(p, k))[:, None] * rows
                diagonal[k] += scaled.T @ scaled
        for k in range(K):
            hessian[own[k], own[k]] = diagonal[k]
        return gradient.ravel(), hessian

    def hessian_product(self, w: Vector) -> tuple[Callable[[Vector], Vector], Vector]:
        p, s = softmax(self.raw_prediction(w) + self.offset), self.rows.sample_weight[:, None]

        def product(v: Vector) -> Vector:
            z = self.raw_prediction(v)
            change = p * (z - (p * z).sum(axis=1, keepdims=True))
            return self.rows.transposed_product(s * change) + self.l2_params * v

        curvature = np.column_stack([p[:, k] * others(p, k) for k in range(self.n_classes)])
        return product, self.rows.transposed_product(s * curvature, squared=True) + self.l2_params

    def intercept_hessian(self, w: Vector) -> Matrix:
        p, K = softmax(self.raw_prediction(w) + self.offset), self.n_classes
        hessian = np.zeros((K, K, self.rows.width))
        for k in range(K):
            for j in range(K):
                curvature = self.rows.sample_weight * p[:, k] * (others(p, k) if j == k else -p[:, j])
                hessian[k, j] = np.append(curvature @ self.rows.X, curvature.sum())
        diagonal = float(np.trace(hessian[:, :, -1])) / K
        hessian[:, :, -1] += (diagonal if diagonal > 0 else 1.0) / K
        return hessian.reshape(K, -1)

    def _gauge(self, hessian: Matrix) -> Matrix:
        """(1/K) 11ᵀ ⊗ D with D the mean curvature of a parameter over the classes."""
        curvature = np.diag(hessian).reshape(self.n_classes, -1).mean(axis=0)
        return np.kron(np.full((self.n_classes, self.n_classes), 1.0 / self.n_classes), np.diag(curvature))

    def gradient_function(self) -> Callable[[Vector], Vector]:
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
        """See ``Objective``; for a pair of classes, a = (eₖ - eⱼ) ⊗ (x, 1)."""
        by_class = factor.reshape(self.n_classes, self.rows.width, -1)
        largest = 0.0
        for block in self.rows.blocks():
            projected = np.einsum("ip,kpr->kir", self.rows.augmented(block), by_class, optimize=True)
            for k in range(self.n_classes):
                for j in range(k):
                    largest = max(largest, float(((projected[k] - projected[j]) ** 2).sum(axis=1).max()))
        return largest

    def gradient_rounding(self, w: Vector) -> Vector:
        size, p = np.abs(self.rows.augmented()), softmax(self.raw_prediction(w) + self.offset)
        moved = size @ np.abs(w.reshape(self.n_classes, -1)).T
        # The rounding of η moves p_k by p_k (1 - p_k) for its own logit and by p_k p_j for another.
        cross = p * moved
        wobble = np.column_stack(
            [p[:, k] * (others(p, k) * moved[:, k] + others(cross, k)) for k in range(self.n_classes)]
        )
        error = (self.rows.sample_weight[:, None] * (np.abs(residuals(p, self.y)) + wobble)).T @ size
        error = error.ravel() + np.abs(self.l2_params * w)
        return np.asarray(self.rows.summation_error * error, dtype=np.float64)

    def separates(self, w: Vector) -> bool:
        raw = self.raw_prediction(w)
        if (raw.argmax(axis=1) != self.y).any():
            return False
        right = raw[np.arange(self.rows.n_rows), self.y].copy()
        raw[np.arange(self.rows.n_rows), self.y] = -np.inf
        moved = np.abs(self.rows.augmented()) @ np.abs(w.reshape(self.n_classes, -1)).T
        return bool((right - raw.max(axis=1) > 2 * self.rows.summation_error * moved.max(axis=1)).all())

    def with_columns(self, X: Matrix, l2: Vector, l1: Vector = NO_L1) -> SoftmaxObjective:
        return replace(self, rows=replace(self.rows, X=X, l2=l2, l1=l1))

    def without_penalty(self) -> SoftmaxObjective:
        return replace(self, rows=replace(self.rows, l2=np.zeros_like(self.rows.l2), l1=NO_L1))

    def intercept_only(self, w: Vector) -> tuple[SoftmaxObjective, Vector]:
        n_columns = self.rows.X.shape[1]
        by_class = w.reshape(self.n_classes, -1)
        rows = replace(self.rows, X=self.rows.X[:, :0], l2=self.rows.l2[:0], l1=NO_L1)
        offset = self.offset + self.rows.X @ by_class[:, :n_columns].T
        return replace(self, rows=rows, offset=offset), by_class[:, n_columns:].ravel().copy()


def others(p: Matrix, k: int) -> Vector:
    """1 - p[:, k] as the sum of the other classes, so that nothing cancels: (n, K) → (n,)."""
    return np.asarray(p[:, :k].sum(axis=1) + p[:, k + 1 :].sum(axis=1), dtype=np.float64)


def residuals(p: Matrix, y: Index) -> Matrix:
    """The residuals p - one-hot(y), the own class as minus the sum of the others, so that nothing cancels: (n, K) → (n, K)."""
    result = p.copy()
    own = np.arange(len(p)), y
    result[own] = 0.0
    result[own] = -result.sum(axis=1)
    return result
