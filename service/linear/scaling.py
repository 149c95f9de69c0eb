"""``Scaling``: columns moved to zero mean and unit spread, and coefficients brought back to the raw columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.lanes import in_lanes

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaling:
    """The affine map of matrix columns x → (x - centre) / scale, and its way back for coefficients.

    centre, scale: shape (n_columns,), scale > 0.
    """

    centre: Vector
    scale: Vector

    @classmethod
    def standard(cls, matrix: Matrix) -> Scaling:
        """Zero mean and unit variance (divisor n); a constant column is centred and keeps its unit.

        Constant is a column whose spread is the rounding of its mean, or below the smallest normal double.
        """
        # The largest magnitude is divided out first, so that squares neither overflow nor vanish.
        unit = np.abs(matrix).max(axis=0, initial=0.0)
        unit[unit == 0] = 1.0
        shrunk = matrix / unit
        mean = shrunk.mean(axis=0)
        deviation = np.sqrt(np.mean((shrunk - mean) ** 2, axis=0))
        # The second bound keeps 1/scale finite.
        constant = (deviation <= 1e-14 * np.abs(mean)) | (deviation * unit < np.finfo(np.float64).tiny)
        deviation[constant] = 1.0
        scale = deviation * unit
        scale[constant] = 1.0
        # Centred by its rounded mean, a constant column would hold rounding, which an unpenalised fit takes for data.
        centre = np.where(np.ptp(shrunk, axis=0) == 0, matrix[0], mean * unit)
        return cls(centre, scale)

    @staticmethod
    def is_idle(matrix: Matrix) -> bool:
        """Whether the columns are fine as they are: spreads that are no extremes, and means within 100 of them.

        Newton's steps do not depend on the units, and its arithmetic hardly does until then; a copy is spared.
        """
        n_rows = len(matrix)

        def moments(lane: slice) -> tuple[Vector, Vector]:
            rows = matrix[lane]
            return rows.sum(axis=0), np.einsum("ij,ij->j", rows, rows)

        with np.errstate(over="ignore", invalid="ignore"):
            parts = in_lanes(n_rows, matrix.shape[1], moments)
            mean, square = (np.sum(part, axis=0) / n_rows for part in zip(*parts, strict=True))
            variance = square - mean**2
            return bool(((variance > 1e-4 * mean**2) & (variance > 1e-100) & (square < 1e100)).all())

    @classmethod
    def identity(cls, n_columns: int) -> Scaling:
        return cls(np.zeros(n_columns), np.ones(n_columns))

    def apply(self, matrix: Matrix) -> Matrix:
        return np.asarray((matrix - self.centre) / self.scale, dtype=np.float64)

    def to_raw(self, coef: Matrix, intercept: Vector) -> tuple[Matrix, Vector]:
        """Coefficients (k, n_columns) and intercepts (k,) for the raw columns; the logits stay the same."""
        raw = coef / self.scale
        return raw, intercept - raw @ self.centre

    def covariance_to_raw(self, covariance: Matrix, *, has_intercept: bool = True) -> Matrix:
        """Covariance of the raw parameters, T V Tᵀ with the linear map T of ``to_raw``.

        covariance: (k q, k q), k blocks of q parameters each: the columns, then the intercept if there is one.
        """
        n_columns = len(self.scale)
        size = n_columns + int(has_intercept)
        step = np.diag(np.append(1 / self.scale, np.ones(size - n_columns)))
        if has_intercept:
            step[n_columns, :n_columns] = -self.centre / self.scale
        blocks = np.kron(np.eye(len(covariance) // size), step)
        return np.asarray(blocks @ covariance @ blocks.T, dtype=np.float64)
