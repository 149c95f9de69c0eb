"""``Scaling``: columns moved to zero mean and unit spread, and coefficients brought back to the raw columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from service.linear.columns.arrays import Matrix, Vector
from service.linear.lanes import in_lanes, parts_of

Read: TypeAlias = Callable[[slice], Matrix]

# A part that is read and reduced, a megabyte.
PART_NUMBERS = 1 << 17


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
        n_rows, n_columns = matrix.shape
        return cls.of_blocks(matrix.__getitem__, (n_rows, n_columns))

    @classmethod
    def of_blocks(cls, read: Read, shape: tuple[int, int]) -> Scaling:
        """``standard`` of a matrix (n, p) = shape that is read in parts, three times."""
        first = read(slice(0, 1))[0]
        lowest, highest = _over_rows(read, shape, _extremes)
        lowest, highest = lowest.min(axis=0), highest.max(axis=0)
        # The largest magnitude is divided out first, so that squares neither overflow nor vanish.
        unit = np.maximum(highest, -lowest)
        unit[unit == 0] = 1.0
        start = first / unit
        # Sums of differences from one row lose nothing where the spread is small beside the mean.
        (drifts,) = _over_rows(read, shape, lambda rows: ((rows / unit - start).sum(axis=0),))
        mean = start + drifts.sum(axis=0) / shape[0]
        (squares,) = _over_rows(read, shape, lambda rows: (((rows / unit - mean) ** 2).sum(axis=0),))
        deviation = np.sqrt(squares.sum(axis=0) / shape[0])
        # The second bound keeps 1/scale finite.
        constant = (deviation <= 1e-14 * np.abs(mean)) | (deviation * unit < np.finfo(np.float64).tiny)
        deviation[constant] = 1.0
        scale = deviation * unit
        scale[constant] = 1.0
        # Centred by its rounded mean, a constant column would hold rounding, which an unpenalised fit takes for data.
        return cls(np.where(lowest == highest, first, mean * unit), scale)

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


def _extremes(rows: Matrix) -> tuple[Vector, Vector]:
    return rows.min(axis=0), rows.max(axis=0)


def _over_rows(read: Read, shape: tuple[int, int], reduce: Callable[[Matrix], tuple[Vector, ...]]) -> list[Matrix]:
    """What ``reduce`` makes of each part of the rows, (parts, p) for each of its results, in the order of the rows."""
    height = max(1, PART_NUMBERS // max(shape[1], 1))

    def lane_results(lane: slice) -> list[tuple[Vector, ...]]:
        return [reduce(read(part)) for part in parts_of(lane, height)]

    results = [result for lane in in_lanes(*shape, lane_results) for result in lane]
    return [np.array(column) for column in zip(*results, strict=True)]
