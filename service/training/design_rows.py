"""The matrix that a fit walks over: in memory, or on disk where it is too large for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.linear.columns import CodedColumns, ColumnsOnDemand, DenseColumns
from service.tabular.design import Design, Matrix, Vector
from service.tabular.spool import SpooledMatrix
from service.tabular.table import Tabular

MEMORY_BYTES = 1 << 30
# Of the memory for rows, the part that a table or its matrix may take: both are worked on in copies.
SHARE = 4
# From so many one-hot columns on, codes are read faster than the columns, which are all but empty.
MANY_CATEGORIES = 100


@dataclass(frozen=True, slots=True)
class DesignRows:
    """The matrix X (n, p) of a design, and the least and the largest number of each of its columns, (p,)."""

    X: DenseColumns | ColumnsOnDemand | CodedColumns
    minimum: Vector
    maximum: Vector

    @property
    def is_constant(self) -> npt.NDArray[np.bool_]:
        """Whether a column is the same in all rows, (p,)."""
        return np.equal(self.minimum, self.maximum)


def design_rows(design: Design, table: Tabular, memory_bytes: int) -> DesignRows:
    """The rows of ``table``, at least one, as ``Design.matrix`` makes them, block by block; many categories as codes.

    memory_bytes: for rows in all; on disk when they take more than a quarter of it, codes aside.
    Raises OutOfMemory when the disk is full.
    """
    if len(design.column_names) - len(design.number_places) >= MANY_CATEGORIES:
        return _coded_rows(design, table, memory_bytes)
    width = len(design.column_names)
    numbers = _Numbers.of(table.n_rows, width, memory_bytes)
    for block in table.blocks(width):
        numbers.add(design.matrix(block))
    return DesignRows(numbers.columns, numbers.minimum, numbers.maximum)


def _coded_rows(design: Design, table: Tabular, memory_bytes: int) -> DesignRows:
    width = len(design.number_places)
    numbers, codes = _Numbers.of(table.n_rows, width, memory_bytes), []
    for block in table.blocks(width + len(design.category_places)):
        part, code = design.coded(block)
        numbers.add(part)
        codes.append(code)
    levels = tuple(place.stop - place.start for place in design.category_places)
    one_hot = [np.arange(place.start, place.stop) for place in design.category_places]
    places = np.concatenate([design.number_places, *one_hot])
    all_codes = np.concatenate(codes)
    minimum, maximum = np.zeros(len(places)), np.ones(len(places))
    minimum[design.number_places], maximum[design.number_places] = numbers.minimum, numbers.maximum
    for place, code in zip(design.category_places, all_codes.T, strict=True):
        counts = np.bincount(code[code >= 0], minlength=place.stop - place.start)
        minimum[place], maximum[place] = counts == table.n_rows, counts > 0
    return DesignRows(CodedColumns.of(numbers.columns, all_codes, levels, places=places), minimum, maximum)


@dataclass
class _Numbers:
    """A matrix in memory or on disk, filled from above, and the range of its columns."""

    matrix: Matrix | SpooledMatrix
    minimum: Vector
    maximum: Vector
    n_rows: int = 0

    @classmethod
    def of(cls, n_rows: int, width: int, memory_bytes: int) -> _Numbers:
        fits = n_rows * width * np.dtype(np.float64).itemsize <= memory_bytes // SHARE
        matrix = np.empty((n_rows, width)) if fits else SpooledMatrix(width)
        return cls(matrix, np.full(width, np.inf), np.full(width, -np.inf))

    def add(self, part: Matrix) -> None:
        self.minimum, self.maximum = (
            np.minimum(self.minimum, part.min(axis=0)),
            np.maximum(self.maximum, part.max(axis=0)),
        )
        if isinstance(self.matrix, SpooledMatrix):
            self.matrix.append(part)
        else:
            self.matrix[self.n_rows : self.n_rows + len(part)] = part
        self.n_rows += len(part)

    @property
    def columns(self) -> DenseColumns | ColumnsOnDemand:
        if isinstance(self.matrix, SpooledMatrix):
            return ColumnsOnDemand(self.matrix.block, self.matrix.shape)
        return DenseColumns(self.matrix)
