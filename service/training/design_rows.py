"""The matrix that a fit walks over: in memory, or on disk where it is too large for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.linear.columns import ColumnsOnDemand, DenseColumns
from service.tabular.design import Design, Matrix, Vector
from service.tabular.spool import SpooledMatrix
from service.tabular.table import Tabular

MEMORY_BYTES = 1 << 30
# Of the memory for rows, the part that a table or its matrix may take: both are worked on in copies.
SHARE = 4


@dataclass(frozen=True, slots=True)
class DesignRows:
    """The matrix X (n, p) of a design, and the least and the largest number of each of its columns, (p,)."""

    X: DenseColumns | ColumnsOnDemand
    minimum: Vector
    maximum: Vector

    @property
    def is_constant(self) -> npt.NDArray[np.bool_]:
        """Whether a column is the same in all rows, (p,)."""
        return np.equal(self.minimum, self.maximum)


def design_rows(design: Design, table: Tabular, memory_bytes: int) -> DesignRows:
    """The rows of ``table``, at least one, as ``Design.matrix`` makes them, block by block.

    memory_bytes: for rows in all; on disk when they take more than a quarter of it.  Raises OutOfMemory when the disk is full.
    """
    width = len(design.column_names)
    fits = table.n_rows * width * np.dtype(np.float64).itemsize <= memory_bytes // SHARE
    matrix: Matrix | SpooledMatrix = np.empty((table.n_rows, width)) if fits else SpooledMatrix(width)
    minimum, maximum = np.full(width, np.inf), np.full(width, -np.inf)
    row = 0
    for block in table.blocks(width):
        part = design.matrix(block)
        minimum, maximum = np.minimum(minimum, part.min(axis=0)), np.maximum(maximum, part.max(axis=0))
        if isinstance(matrix, SpooledMatrix):
            matrix.append(part)
        else:
            matrix[row : row + len(part)] = part
        row += len(part)
    if isinstance(matrix, SpooledMatrix):
        return DesignRows(ColumnsOnDemand(matrix.block, matrix.shape), minimum, maximum)
    return DesignRows(DenseColumns(matrix), minimum, maximum)
