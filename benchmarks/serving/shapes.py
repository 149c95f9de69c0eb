"""What is asked: rows of normal columns from a seed, in the shapes of single requests and of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]

ROWS_SEED = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """The rows of one request, and how many connections ask at once in the closed loop."""

    name: str
    n_rows: int
    n_columns: int
    connections: int = 16

    @property
    def text(self) -> str:
        """The shape for people: 1×30."""
        return f"{self.n_rows:_}×{self.n_columns}".replace("_", " ")

    def rows(self) -> Matrix:
        """The rows of the request, (n_rows, n_columns), always the same."""
        return np.random.default_rng([ROWS_SEED, self.n_rows]).standard_normal((self.n_rows, self.n_columns))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("1x4", 1, 4),
        Shape("1x30", 1, 30),
        Shape("100x30", 100, 30),
        # A batch keeps a server busy by itself; the second one waits, so that there is no pause between them.
        Shape("10000x30", 10_000, 30, connections=2),
    )
}
