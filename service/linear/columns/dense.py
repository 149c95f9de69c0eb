"""Columns as an array of doubles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.moments import Moments, moments_of
from service.linear.lanes import in_lanes
from service.linear.scaling import Scaling

GRAM_NUMBERS = 1 << 16  # 512 KiB of float64: a block and its copy stay in a 2 MiB second-level cache
PASS_NUMBERS = 1 << 17  # a block that is only read needs no copy; longer vectors spare calls
# Below some hundred rows a product of matrices does not reach its speed, however wide they are.
FEWEST_ROWS = 256
# Wide rows are read in blocks that stay in the cache between the product and that with the transpose.
FEWEST_PASSED = 8


def gram_height(width: int) -> int:
    """Rows of ``width`` numbers whose copies stay in the cache; as many as columns, where each sum is as large as that."""
    return max(FEWEST_ROWS, GRAM_NUMBERS // max(width, 1), width)


@dataclass(frozen=True)
class DenseColumns:
    """array: (n, p), float64 and C-contiguous."""

    array: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        return cast("tuple[int, int]", self.array.shape)

    @property
    def row_numbers(self) -> int:
        return self.shape[1]

    @property
    def pass_height(self) -> int:
        return max(FEWEST_PASSED, PASS_NUMBERS // (self.shape[1] + 1))

    @property
    def gram_height(self) -> int:
        return gram_height(self.shape[1] + 1)

    def block(self, rows: slice) -> DenseColumns:
        return DenseColumns(self.array[rows])

    def take(self, rows: Index) -> DenseColumns:
        return DenseColumns(self.array[rows])

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self)

    def select(self, columns: Index) -> DenseColumns:
        return DenseColumns(np.ascontiguousarray(self.array[:, columns]))

    def is_idle(self) -> bool:
        return self.moments.are_idle

    def conditioning(self) -> Scaling:
        return Scaling.standard(self.array)

    def scaled(self, scaling: Scaling) -> DenseColumns:
        return DenseColumns(scaling.apply(self.array))

    def largest_magnitudes(self) -> Vector:
        highest, lowest = self.array.max(axis=0, initial=0.0), self.array.min(axis=0, initial=0.0)
        return np.asarray(np.maximum(highest, -lowest), dtype=np.float64)

    def dense(self) -> Matrix:
        return self.array

    def product(self, w: Matrix) -> Matrix:
        return np.asarray(self.array @ w, dtype=np.float64)

    def transposed_product(self, values: Matrix) -> Matrix:
        return np.asarray(values.T @ self.array, dtype=np.float64)

    def gram(self, weights: Vector, *, with_ones: bool, single: bool = False) -> Matrix:
        n_rows, n_columns = self.shape
        root = np.sqrt(weights)
        scaled = np.empty((n_rows, n_columns + int(with_ones)), dtype=np.float32 if single else np.float64)
        np.multiply(self.array, root[:, None], out=scaled[:, :n_columns], casting="same_kind")
        scaled[:, n_columns:] = root[:, None]
        # The same buffer on both sides: BLAS then does half the work (SYRK).
        return np.asarray(scaled.T @ scaled, dtype=np.float64)

    def row_gram(self, column_weights: Vector) -> Matrix:
        def part(columns: slice) -> Matrix:
            scaled = self.array[:, columns] * np.sqrt(column_weights[columns])
            return np.asarray(scaled @ scaled.T, dtype=np.float64)

        n_rows, n_columns = self.array.shape
        gram = np.zeros((n_rows, n_rows))
        for lane in in_lanes(n_columns, n_rows, part):
            gram += lane
        return gram

    def magnitudes(self) -> DenseColumns:
        return DenseColumns(np.abs(self.array))

    def squares(self) -> DenseColumns:
        return DenseColumns(self.array**2)

    def square_norms(self) -> Vector:
        return np.asarray(np.einsum("ij,ij->i", self.array, self.array), dtype=np.float64)
