"""The matrix that a fit walks over: in memory, or on disk where it is too large for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.tabular.design import Design, Matrix, Vector
from service.tabular.spool import SpooledMatrix
from service.tabular.table import Tabular

MEMORY_BYTES = 1 << 30
# Of the memory for rows, the part that a table or its matrix may take: both are worked on in copies.
SHARE = 4


@dataclass(frozen=True, slots=True)
class DesignRows:
    """The matrix X (n, p) of a design, and the least and the largest number of each of its columns, (p,)."""

    X: Matrix | SpooledMatrix
    minimum: Vector
    maximum: Vector

    @property
    def is_constant(self) -> npt.NDArray[np.bool_]:
        """Whether a column is the same in all rows, (p,)."""
        return np.equal(self.minimum, self.maximum)

    def loaded(self) -> Matrix:
        """X in memory."""
        return self.X.block(slice(None)) if isinstance(self.X, SpooledMatrix) else self.X


def design_rows(design: Design, table: Tabular, memory_bytes: int) -> DesignRows:
    """The rows of ``table``, at least one, as ``Design.matrix`` makes them, block by block.

    memory_bytes: for rows in all; on disk when they take more than a quarter of it.  Raises OutOfMemory when the disk is full.
    """
    width = len(design.column_names)
    fits = table.n_rows * width * np.dtype(np.float64).itemsize <= memory_bytes // SHARE
    X: Matrix | SpooledMatrix = np.empty((table.n_rows, width)) if fits else SpooledMatrix(width)
    minimum, maximum = np.full(width, np.inf), np.full(width, -np.inf)
    row = 0
    for block in table.blocks(width):
        matrix = design.matrix(block)
        minimum, maximum = np.minimum(minimum, matrix.min(axis=0)), np.maximum(maximum, matrix.max(axis=0))
        if isinstance(X, SpooledMatrix):
            X.append(matrix)
        else:
            X[row : row + len(matrix)] = matrix
        row += len(matrix)
    return DesignRows(X, minimum, maximum)
