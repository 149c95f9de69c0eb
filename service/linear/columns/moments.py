"""Sums over the columns of a matrix, and its largest row: what checks and bounds ask of it, in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.linear.columns.arrays import Vector
from service.linear.lanes import in_lanes, parts_of

if TYPE_CHECKING:
    from service.linear.columns.columns import Block, Columns

# Single precision holds the products of numbers whose mean squares are in this range.
SMALLEST_SINGLE, LARGEST_SINGLE = 1e-20, 1e20


@dataclass(frozen=True)
class Moments:
    """sums: Σᵢ xᵢⱼ and squares: Σᵢ xᵢⱼ², (p,); n_rows; largest_norm: the largest √(Σⱼ xᵢⱼ²), inf where squares overflow.

    A cell that is not finite makes a sum that is not; so does, rarely, an overflow.
    """

    sums: Vector
    squares: Vector
    n_rows: int
    largest_norm: float

    @property
    def are_finite(self) -> bool:
        return bool(np.isfinite(self.sums).all())

    @cached_property
    def are_idle(self) -> bool:
        """Whether the columns are fine as they are: spreads that are no extremes, and means within 100 of them.

        Newton's steps do not depend on the units, and its arithmetic hardly does until then; a copy is spared.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            mean, square = self.sums / self.n_rows, self.squares / self.n_rows
            variance = square - mean**2
            return bool(((variance > 1e-4 * mean**2) & (variance > 1e-100) & (square < 1e100)).all())

    @property
    def fit_single_precision(self) -> bool:
        """Whether products of the columns neither overflow nor vanish in single precision."""
        with np.errstate(over="ignore", invalid="ignore"):
            square = self.squares / self.n_rows
            return bool(((square > SMALLEST_SINGLE) & (square < LARGEST_SINGLE)).all())


def moments_of(columns: Columns) -> Moments:
    """The moments of all rows, each block read once."""
    n_rows, n_columns = columns.shape

    def of_lane(lane: slice) -> list[tuple[Vector, Vector, float]]:
        with np.errstate(over="ignore", invalid="ignore"):
            return [_of_block(columns.block(part)) for part in parts_of(lane, columns.pass_height)]

    lanes = in_lanes(n_rows, columns.row_numbers, of_lane)
    sums, squares, norms = zip(*[part for lane in lanes for part in lane], strict=True)
    with np.errstate(over="ignore", invalid="ignore"):
        total, total_squares = np.sum(sums, axis=0), np.sum(squares, axis=0)
    return Moments(total.reshape(n_columns), total_squares.reshape(n_columns), n_rows, math.sqrt(max(norms)))


def _of_block(block: Block) -> tuple[Vector, Vector, float]:
    ones, squared = np.ones(block.shape[0]), block.squares()
    largest = float(squared.product(np.ones(block.shape[1])).max())
    return block.transposed_product(ones), squared.transposed_product(ones), largest if largest >= 0 else math.inf
