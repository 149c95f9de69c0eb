"""Columns that are mostly zeros, in SciPy's compressed rows; this file needs their methods, not SciPy itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.moments import Moments, moments_of
from service.linear.lanes import in_lanes
from service.linear.scaling import Scaling

# Scaling keeps squares in the range of doubles; within these magnitudes they are.
SMALLEST, LARGEST = 1e-50, 1e50


@dataclass(frozen=True)
class SparseColumns:
    """csr: a SciPy matrix or array (n, p) in CSR, float64, its indices sorted and without duplicates."""

    csr: Any

    @property
    def shape(self) -> tuple[int, int]:
        n_rows, n_columns = map(int, self.csr.shape)
        return n_rows, n_columns

    @property
    def row_numbers(self) -> int:
        return max(1, int(self.csr.nnz) // max(self.shape[0], 1))

    @property
    def pass_height(self) -> int:
        # A product with the transpose writes p numbers a block: the fewer blocks the better.
        return max(1, self.shape[0])

    @property
    def gram_height(self) -> int:
        return self.pass_height

    def block(self, rows: slice) -> SparseColumns:
        if rows.start == 0 and rows.stop == self.csr.shape[0]:
            return self
        bounds = self.csr.indptr[rows.start : rows.stop + 1]
        cells = slice(int(bounds[0]), int(bounds[-1]))
        parts = (self.csr.data[cells], self.csr.indices[cells], bounds - bounds[0])
        return SparseColumns(type(self.csr)(parts, shape=(rows.stop - rows.start, self.csr.shape[1])))

    def take(self, rows: Index) -> SparseColumns:
        return SparseColumns(self.csr[rows])

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self)

    def select(self, columns: Index) -> SparseColumns:
        return SparseColumns(self.csr[:, columns])

    def is_idle(self) -> bool:
        size = self.largest_magnitudes()
        return bool(((size == 0) | ((size > SMALLEST) & (size < LARGEST))).all())

    def conditioning(self) -> Scaling:
        size = self.largest_magnitudes()
        # Centring would fill the zeros.
        return Scaling(np.zeros(len(size)), np.where(size > 0, size, 1.0))

    def scaled(self, scaling: Scaling) -> SparseColumns:
        if scaling.centre.any():
            raise ValueError("sparse columns cannot be centred")
        return self._with_cells(self.csr.data / scaling.scale[self.csr.indices])

    def _with_cells(self, cells: Vector) -> SparseColumns:
        parts = (cells, self.csr.indices, self.csr.indptr)
        return SparseColumns(type(self.csr)(parts, shape=self.csr.shape))

    def largest_magnitudes(self) -> Vector:
        largest = np.zeros(self.csr.shape[1])
        np.maximum.at(largest, self.csr.indices, np.abs(self.csr.data))
        return largest

    def dense(self) -> Matrix:
        return np.asarray(self.csr.toarray(), dtype=np.float64)

    def product(self, w: Matrix) -> Matrix:
        return np.asarray(self.csr @ w, dtype=np.float64)

    def transposed_product(self, values: Matrix) -> Matrix:
        return np.asarray((self.csr.T @ values).T, dtype=np.float64)

    def gram(self, weights: Vector, *, with_ones: bool, single: bool = False) -> Matrix:  # noqa: ARG002 — scattered sums gain nothing by it
        n_columns = self.csr.shape[1]
        gram = np.zeros((n_columns + int(with_ones),) * 2)
        per_cell = np.repeat(np.sqrt(weights), np.diff(self.csr.indptr))
        scaled = self._with_cells(self.csr.data * per_cell).csr
        gram[:n_columns, :n_columns] = (scaled.T @ scaled).toarray()
        if with_ones:
            gram[n_columns, :n_columns] = gram[:n_columns, n_columns] = self.transposed_product(weights)
            gram[n_columns, n_columns] = weights.sum()
        return gram

    def row_gram(self, column_weights: Vector) -> Matrix:
        scaled = self._with_cells(self.csr.data * np.sqrt(column_weights)[self.csr.indices]).csr

        def part(rows: slice) -> Matrix:
            block = SparseColumns(scaled).block(rows).csr
            return np.asarray((block @ scaled.T).toarray(), dtype=np.float64)

        return np.concatenate(in_lanes(self.csr.shape[0], self.csr.nnz // max(self.csr.shape[0], 1), part))

    def magnitudes(self) -> SparseColumns:
        return self._with_cells(np.abs(self.csr.data))

    def squares(self) -> SparseColumns:
        return self._with_cells(self.csr.data**2)

    def square_norms(self) -> Vector:
        return self.squares().product(np.ones(self.csr.shape[1]))
