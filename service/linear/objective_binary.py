"""The penalised log-loss of two classes: see ``objective`` for the formula and the layout of w."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.linear.link import log1pexp, sigmoid
from service.linear.objective import Matrix, Rows, Vector


@dataclass(frozen=True)
class BinaryObjective:
    """The log-loss of two classes; y: (n,) of 0.0 and 1.0; offset: (n,) added to η, or 0."""

    rows: Rows
    y: Vector
    offset: Vector | float = 0.0

    @property
    def n_params(self) -> int:
        return self.rows.width

    @property
    def l2_params(self) -> Vector:
        return self.rows.penalty

    @staticmethod
    def centred(w: Vector) -> Vector:
        return w

    def raw_prediction(self, w: Vector) -> Matrix:
        n_columns = self.rows.X.shape[1]
        return np.asarray(self.rows.X @ w[:n_columns] + w[n_columns:].sum(), dtype=np.float64)

    def value_at(self, raw_prediction: Matrix, w: Vector) -> float:
        # A loss of y = 1 is log(1 + e^-η): the {-1, +1} form, where nothing cancels.
        losses = log1pexp(np.where(self.y > 0, -1.0, 1.0) * (raw_prediction + self.offset))
        return float(self.rows.sample_weight @ losses + 0.5 * (self.l2_params * w) @ w)

    def value(self, w: Vector) -> float:
        """P at w, in nats times weight."""
        return self.value_at(self.raw_prediction(w), w)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """P at w, and ∇P = Σ sᵢ (pᵢ - yᵢ) (xᵢ, 1) + λ w, shape (n_params,)."""
        raw = self.raw_prediction(w)
        weighted = self.rows.sample_weight * self._residual(raw + self.offset, self.y)
        return self.value_at(raw, w), np.append(
            self.rows.X.T @ weighted, weighted.sum(keepdims=True)[: int(self.rows.fit_intercept)]
        ) + self.l2_params * w

    def value_gradient_hessian(self, w: Vector) -> tuple[float, Vector, Matrix]:
        raw = self.raw_prediction(w)
        gradient, hessian = self.l2_params * w, np.diag(self.l2_params)
        for block in self.rows.blocks():
            z, s = (raw + self.offset)[block], self.rows.sample_weight[block]
            scaled = self.rows.augmented(block)
            gradient += scaled.T @ (s * self._residual(z, self.y[block]))
            t = np.exp(-np.abs(z))
            scaled *= (np.sqrt(s * t) / (1.0 + t))[:, None]
            hessian += scaled.T @ scaled
        return self.value_at(raw, w), gradient, hessian

    @staticmethod
    def _residual(z: Vector, y: Vector) -> Vector:
        """The residual p - y without cancellation: σ(z) for y = 0, -σ(-z) for y = 1."""
        sign = np.where(y > 0, -1.0, 1.0)
        return np.asarray(sign * sigmoid(sign * z), dtype=np.float64)

    def gradient_function(self) -> Callable[[Vector], Vector]:
        rows = self.rows.augmented()
        negated, weighted_transpose = -rows, np.ascontiguousarray((rows * self.rows.sample_weight[:, None]).T)
        p, gradient, penalty = np.empty(self.rows.n_rows), np.empty(self.n_params), self.l2_params
        y, minus_offset, is_penalised = self.y, np.negative(self.offset), bool(self.l2_params.any())
        has_offset = bool(np.any(minus_offset))

        def gradient_at(w: Vector) -> Vector:
            np.dot(negated, w, out=p)
            if has_offset:
                np.add(p, minus_offset, out=p)
            np.exp(p, out=p)
            np.add(p, 1.0, out=p)
            np.reciprocal(p, out=p)
            np.subtract(p, y, out=p)
            np.dot(weighted_transpose, p, out=gradient)
            if is_penalised:
                np.add(gradient, penalty * w, out=gradient)
            return gradient

        return gradient_at

    def largest_change(self, raw_step: Matrix) -> float:
        return float(np.abs(raw_step).max(initial=0.0))

    def largest_leverage(self, factor: Matrix) -> float:
        norms = (((self.rows.augmented(block) @ factor) ** 2).sum(axis=1).max() for block in self.rows.blocks())
        return float(max(norms, default=0.0))

    def gradient_rounding(self, w: Vector) -> Vector:
        error = np.abs(self.l2_params * w)
        for block in self.rows.blocks():
            size = np.abs(self.rows.augmented(block))
            z = self.rows.X[block] @ w[: self.rows.X.shape[1]] + w[self.rows.X.shape[1] :].sum()
            z = z + (self.offset if isinstance(self.offset, float) else self.offset[block])
            t = np.exp(-np.abs(z))
            # The rounding of η moves the residual by its derivative, p (1 - p).
            wobble = t / (1.0 + t) ** 2 * (size @ np.abs(w))
            error += size.T @ (self.rows.sample_weight[block] * (np.abs(self._residual(z, self.y[block])) + wobble))
        return self.rows.summation_error * error

    def separates(self, w: Vector) -> bool:
        margins = np.where(self.y > 0, 1.0, -1.0) * self.raw_prediction(w)
        noise = self.rows.summation_error * (np.abs(self.rows.augmented()) @ np.abs(w))
        return bool((margins > noise).all())

    def without_penalty(self) -> BinaryObjective:
        return replace(self, rows=replace(self.rows, l2=np.zeros_like(self.rows.l2)))

    def intercept_only(self, w: Vector) -> tuple[BinaryObjective, Vector]:
        n_columns = self.rows.X.shape[1]
        rows = replace(self.rows, X=self.rows.X[:, :0], l2=self.rows.l2[:0])
        return replace(self, rows=rows, offset=self.offset + self.rows.X @ w[:n_columns]), w[n_columns:].copy()
