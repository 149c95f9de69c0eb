"""The penalised log-loss of two classes: see ``objective`` for the formula and the layout of w."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from service.linear.columns import Columns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.lanes import in_lanes
from service.linear.link import log1pexp, sigmoid
from service.linear.objective import NO_L1, Rows, added


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
        return self.rows.product(w)

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
        parts = in_lanes(self.rows.n_rows, self.rows.row_numbers, lambda lane: self._loss_and_gradient(lane, w))
        loss = sum(loss for loss, _ in parts)
        gradient = added(gradient for _, gradient in parts)
        return loss + self.penalty_at(w), gradient + self.l2_params * w

    def _loss_and_gradient(self, lane: slice, w: Vector) -> tuple[float, Vector]:
        """Σ s loss and its gradient over a lane, each block read once while it is in the cache."""
        n_columns = self.rows.n_columns
        loss, gradient, constant = 0.0, np.zeros(self.n_params), float(w[n_columns:].sum())
        for part, block in self.rows.parts(lane):
            s, sign = self.rows.sample_weight[part], self._signs[part]
            margin = block.product(w[:n_columns])
            margin += constant + self._offset_of(part)
            margin *= sign
            t = np.exp(-np.abs(margin))
            loss += float(s @ np.log1p(t) - s @ np.minimum(margin, 0.0))
            # The residual p - y is -sign · σ(-margin): nothing cancels.
            residual = np.where(margin >= 0, t, 1.0)
            residual /= 1.0 + t
            residual *= sign
            residual *= s
            gradient[:n_columns] -= block.transposed_product(residual)
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

    def value_gradient_hessian(self, w: Vector, *, single: bool = False) -> tuple[float, Vector, Matrix]:
        margin = self._signs * (self.rows.product(w) + self.offset)
        s, t = self.rows.sample_weight, np.exp(-np.abs(margin))
        share = t / (1.0 + t)
        # The residual p - y is -sign · σ(-margin): nothing cancels.
        residual = -self._signs * np.where(margin >= 0, share, 1.0 / (1.0 + t))
        value = float(s @ np.log1p(t) - s @ np.minimum(margin, 0.0)) + self.penalty_at(w)
        hessian = self.rows.gram(s * share / (1.0 + t), single=single)
        hessian.flat[:: self.n_params + 1] += self.l2_params
        return value, self.rows.transposed_product(s * residual) + self.l2_params * w, hessian

    def hessian_product(self, w: Vector) -> tuple[Callable[[Vector], Vector], Vector]:
        t = np.exp(-np.abs(self.raw_prediction(w) + self.offset))
        curvature = self.rows.sample_weight * t / (1.0 + t) ** 2

        def product(v: Vector) -> Vector:
            return self.rows.there_and_back(v, lambda z, rows: z * curvature[rows]) + self.l2_params * v

        return product, self.rows.transposed_product(curvature, squared=True) + self.l2_params

    def intercept_hessian(self, w: Vector) -> Matrix:
        z = self.raw_prediction(w) + self.offset
        t = np.exp(-np.abs(z))
        curvature = self.rows.sample_weight * t / (1.0 + t) ** 2
        return self.rows.transposed_product(curvature)[None, :]

    def _offset_of(self, rows: slice) -> Vector | float:
        return self.offset if isinstance(self.offset, float) else self.offset[rows]

    @staticmethod
    def _residual(z: Vector, y: Vector) -> Vector:
        """The residual p - y without cancellation: σ(z) for y = 0, -σ(-z) for y = 1."""
        sign = np.where(y > 0, -1.0, 1.0)
        return np.asarray(sign * sigmoid(sign * z), dtype=np.float64)

    def gradient_function(self) -> Callable[[Vector], Vector]:
        if not self.rows.is_small_and_dense:
            return lambda w: self.value_and_gradient(w)[1]
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
        norms = (((rows @ factor) ** 2).sum(axis=1).max() for _, rows in self.rows.dense_parts())
        return float(max(norms, default=0.0))

    def gradient_rounding(self, w: Vector) -> Vector:
        n_columns, error = self.rows.n_columns, np.abs(self.l2_params * w)
        size_of_w, size_of_constant = np.abs(w[:n_columns]), float(np.abs(w[n_columns:]).sum())
        for part, block in self.rows.parts():
            size = block.magnitudes()
            z = block.product(w[:n_columns]) + w[n_columns:].sum() + self._offset_of(part)
            t = np.exp(-np.abs(z))
            # The rounding of η moves the residual by its derivative, p (1 - p).
            wobble = t / (1.0 + t) ** 2 * (size.product(size_of_w) + size_of_constant)
            wobble += np.abs(self._residual(z, self.y[part]))
            wobble *= self.rows.sample_weight[part]
            error[:n_columns] += size.transposed_product(wobble)
            error[n_columns:] += wobble.sum()
        return self.rows.summation_error * error

    def separates(self, w: Vector) -> bool:
        n_columns = self.rows.n_columns
        constant, size_of_constant = float(w[n_columns:].sum()), float(np.abs(w[n_columns:]).sum())
        for part, block in self.rows.parts():
            margins = self._signs[part] * (block.product(w[:n_columns]) + constant)
            # The first row on the wrong side ends it, which spares the bound of the rounding in most fits.
            if not (margins > 0).all():
                return False
            noise = block.magnitudes().product(np.abs(w[:n_columns])) + size_of_constant
            if not (margins > self.rows.summation_error * noise).all():
                return False
        return True

    def with_columns(self, X: Columns, l2: Vector, l1: Vector = NO_L1) -> BinaryObjective:
        return replace(self, rows=replace(self.rows, X=X, l2=l2, l1=l1))

    def without_penalty(self) -> BinaryObjective:
        return replace(self, rows=replace(self.rows, l2=np.zeros_like(self.rows.l2), l1=NO_L1))

    def restricted(self, columns: Index, w: Vector) -> tuple[BinaryObjective, Vector]:
        kept = np.append(columns, np.arange(self.rows.n_columns, self.rows.width))
        held = w.copy()
        held[kept] = 0.0
        rows = self.rows.select(columns)
        return replace(self, rows=rows, offset=self.offset + self.rows.product(held)), w[kept]
