"""The penalised log-loss of two classes: see ``objective`` for the formula and the layout of w."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from service.linear.lanes import MOST_LANES, in_lanes
from service.linear.link import log1pexp, sigmoid
from service.linear.objective import NO_L1, Index, Matrix, Rows, Vector


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

    @property
    def l1_params(self) -> Vector:
        return self.rows.absolute_penalty

    def penalty_at(self, w: Vector) -> float:
        return float(0.5 * (self.l2_params * w) @ w + self.l1_params @ np.abs(w))

    @staticmethod
    def centred(w: Vector) -> Vector:
        return w

    def raw_prediction(self, w: Vector) -> Matrix:
        n_columns = self.rows.X.shape[1]
        return np.asarray(self.rows.X @ w[:n_columns] + w[n_columns:].sum(), dtype=np.float64)

    def value_at(self, raw_prediction: Matrix, w: Vector) -> float:
        # A loss of y = 1 is log(1 + e^-η): the {-1, +1} form, where nothing cancels.
        losses = log1pexp(np.where(self.y > 0, -1.0, 1.0) * (raw_prediction + self.offset))
        return float(self.rows.sample_weight @ losses) + self.penalty_at(w)

    def losses_and_residuals(self, raw_prediction: Matrix) -> tuple[Vector, Matrix]:
        margin = self._signs * (raw_prediction + self.offset)
        return log1pexp(-margin), -self._signs * sigmoid(-margin)

    def value(self, w: Vector) -> float:
        """P at w, in nats times weight."""
        return self.value_at(self.raw_prediction(w), w)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """P at w, and ∇P = Σ sᵢ (pᵢ - yᵢ) (xᵢ, 1) + λ w, shape (n_params,)."""
        parts = in_lanes(self.rows.n_rows, self.rows.width, lambda lane: self._loss_and_gradient(lane, w))
        loss = sum(loss for loss, _ in parts)
        gradient = np.sum([gradient for _, gradient in parts], axis=0)
        return loss + self.penalty_at(w), gradient + self.l2_params * w

    def _loss_and_gradient(self, lane: slice, w: Vector) -> tuple[float, Vector]:
        """Σ s loss and its gradient over a lane, each block read once while it is in the cache."""
        n_columns = self.rows.X.shape[1]
        loss, gradient, constant = 0.0, np.zeros(self.n_params), float(w[n_columns:].sum())
        for block in self.rows.pass_blocks(lane):
            X, s, sign = self.rows.X[block], self.rows.sample_weight[block], self._signs[block]
            margin = X @ w[:n_columns]
            margin += constant + self._offset_of(block)
            margin *= sign
            t = np.exp(-np.abs(margin))
            loss += float(s @ np.log1p(t) - s @ np.minimum(margin, 0.0))
            # The residual p - y is -sign · σ(-margin): nothing cancels.
            residual = np.where(margin >= 0, t, 1.0)
            residual /= 1.0 + t
            residual *= sign
            residual *= s
            gradient[:n_columns] -= residual @ X
            gradient[n_columns:] -= residual.sum()
        return loss, gradient

    @cached_property
    def _signs(self) -> Vector:
        """The labels as -1 and +1."""
        return np.where(self.y > 0, 1.0, -1.0)

    def subset(self, index: Index, factor: Vector) -> BinaryObjective:
        offset = self.offset if isinstance(self.offset, float) else self.offset[index]
        return BinaryObjective(self.rows.subset(index, factor), self.y[index], offset)

    def class_index(self) -> Index:
        return self.y.astype(np.intp)

    def value_gradient_hessian(self, w: Vector) -> tuple[float, Vector, Matrix]:
        raw = self.raw_prediction(w)
        parts = in_lanes(
            self.rows.n_rows,
            self.rows.width,
            lambda lane: self._gradient_and_hessian(lane, raw),
            most=min(MOST_LANES, self.rows.n_rows // (4 * max(self.rows.width, 1))),
        )
        gradient = np.sum([gradient for gradient, _ in parts], axis=0) + self.l2_params * w
        hessian = np.diag(self.l2_params)
        for _, part in parts:
            hessian += part
        return self.value_at(raw, w), gradient, hessian

    def _gradient_and_hessian(self, lane: slice, raw: Matrix) -> tuple[Vector, Matrix]:
        gradient, hessian = np.zeros(self.n_params), np.zeros((self.n_params, self.n_params))
        for block in self.rows.blocks(lane):
            z, s = raw[block] + self._offset_of(block), self.rows.sample_weight[block]
            scaled = self.rows.augmented(block)
            gradient += scaled.T @ (s * self._residual(z, self.y[block]))
            t = np.exp(-np.abs(z))
            scaled *= (np.sqrt(s * t) / (1.0 + t))[:, None]
            hessian += scaled.T @ scaled
        return gradient, hessian

    def hessian_product(self, w: Vector) -> tuple[Callable[[Vector], Vector], Vector]:
        t = np.exp(-np.abs(self.raw_prediction(w) + self.offset))
        curvature = self.rows.sample_weight * t / (1.0 + t) ** 2

        def product(v: Vector) -> Vector:
            return self.rows.transposed_product(curvature * self.raw_prediction(v)) + self.l2_params * v

        return product, self.rows.transposed_product(curvature, squared=True) + self.l2_params

    def intercept_hessian(self, w: Vector) -> Matrix:
        z = self.raw_prediction(w) + self.offset
        t = np.exp(-np.abs(z))
        curvature = self.rows.sample_weight * t / (1.0 + t) ** 2
        return np.append(curvature @ self.rows.X, curvature.sum())[None, :]

    def _offset_of(self, rows: slice) -> Vector | float:
        return self.offset if isinstance(self.offset, float) else self.offset[rows]

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
            z = z + self._offset_of(block)
            t = np.exp(-np.abs(z))
            # The rounding of η moves the residual by its derivative, p (1 - p).
            wobble = t / (1.0 + t) ** 2 * (size @ np.abs(w))
            error += size.T @ (self.rows.sample_weight[block] * (np.abs(self._residual(z, self.y[block])) + wobble))
        return self.rows.summation_error * error

    def separates(self, w: Vector) -> bool:
        n_columns = self.rows.X.shape[1]
        for block in self.rows.blocks():
            margins = self._signs[block] * (self.rows.X[block] @ w[:n_columns] + w[n_columns:].sum())
            # The first row on the wrong side ends it, which spares the bound of the rounding in most fits.
            if not (margins > 0).all():
                return False
            noise = self.rows.summation_error * (np.abs(self.rows.augmented(block)) @ np.abs(w))
            if not (margins > noise).all():
                return False
        return True

    def with_columns(self, X: Matrix, l2: Vector, l1: Vector = NO_L1) -> BinaryObjective:
        return replace(self, rows=replace(self.rows, X=X, l2=l2, l1=l1))

    def without_penalty(self) -> BinaryObjective:
        return replace(self, rows=replace(self.rows, l2=np.zeros_like(self.rows.l2), l1=NO_L1))

    def intercept_only(self, w: Vector) -> tuple[BinaryObjective, Vector]:
        n_columns = self.rows.X.shape[1]
        rows = replace(self.rows, X=self.rows.X[:, :0], l2=self.rows.l2[:0], l1=NO_L1)
        return replace(self, rows=rows, offset=self.offset + self.rows.X @ w[:n_columns]), w[n_columns:].copy()
