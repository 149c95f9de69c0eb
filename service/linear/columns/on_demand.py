"""Columns that are read block by block: files and arrays of another type or order, larger than memory if need be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.dense import DenseColumns
from service.linear.columns.moments import Moments, moments_of
from service.linear.lanes import in_lanes, parts_of
from service.linear.scaling import Scaling

Read: TypeAlias = Callable[[slice], npt.NDArray[np.float32 | np.float64]]


@dataclass(frozen=True)
class ColumnsOnDemand:
    """read: gives the rows of a slice, (m, p), by several threads at once; shape: (n, p).

    A pass reads every row once, and holds a block a thread.  The blocks are those of ``DenseColumns``, so that a fit has
    the same bits as one of the same numbers in memory.
    """

    read: Read
    shape: tuple[int, int]

    @classmethod
    def of_array(cls, array: npt.NDArray[Any]) -> ColumnsOnDemand:
        """The cells of an array in any order of axes, converted block by block."""
        n_rows, n_columns = array.shape
        return cls(lambda rows: array[rows], (int(n_rows), int(n_columns)))

    @property
    def row_numbers(self) -> int:
        return self.shape[1]

    @property
    def pass_height(self) -> int:
        return self._empty.pass_height

    @property
    def gram_height(self) -> int:
        return self._empty.gram_height

    @property
    def _empty(self) -> DenseColumns:
        return DenseColumns(np.empty((0, self.shape[1])))

    def block(self, rows: slice) -> DenseColumns:
        return DenseColumns(np.ascontiguousarray(self.read(rows), dtype=np.float64))

    def take(self, rows: Index) -> DenseColumns:
        taken = np.empty((len(rows), self.shape[1]))
        height = self.pass_height
        for start in range(0, self.shape[0], height):
            first, last = np.searchsorted(rows, [start, start + height])
            if first < last:
                taken[first:last] = self.read(slice(start, min(start + height, self.shape[0])))[
                    rows[first:last] - start
                ]
        return DenseColumns(taken)

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self)

    def select(self, columns: Index) -> ColumnsOnDemand:
        return ColumnsOnDemand(lambda rows: self._dense(rows)[:, columns], (self.shape[0], len(columns)))

    def is_idle(self) -> bool:
        return self.moments.are_idle

    def conditioning(self) -> Scaling:
        return Scaling.of_blocks(self._dense, self.shape)

    def _dense(self, rows: slice) -> Matrix:
        return self.block(rows).array

    def scaled(self, scaling: Scaling) -> ColumnsOnDemand:
        return ColumnsOnDemand(lambda rows: scaling.apply(self._dense(rows)), self.shape)

    def largest_magnitudes(self) -> Vector:
        def largest(lane: slice) -> Vector:
            parts = [self.block(part).largest_magnitudes() for part in parts_of(lane, self.pass_height)]
            return np.asarray(np.max(parts, axis=0), dtype=np.float64)

        return np.asarray(np.max(in_lanes(*self.shape, largest), axis=0), dtype=np.float64)
