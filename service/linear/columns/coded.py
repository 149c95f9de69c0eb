"""Columns of numbers beside categories as codes: one-hot columns that are never written out.

A categorical with L levels stands for L columns of which a row has one at most: a product with them is a lookup, one
with their transpose a count, the Gram matrix of a categorical is diagonal, and that of two counts pairs of codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.columns import Block, Columns
from service.linear.columns.dense import DenseColumns
from service.linear.columns.moments import Moments, moments_of
from service.linear.scaling import Scaling

Codes: TypeAlias = npt.NDArray[np.int32]

# Counting writes a table of the levels of a block: high blocks spare that.
BLOCK_ROWS = 1 << 15


@dataclass(frozen=True)
class CodedColumns:
    """The columns of ``numeric``, then those of each categorical.

    codes: (c, n), in 0…levels[i] - 1, or levels[i] for a row that has none of them; levels: of each categorical;
    cell: (Σ levels,), what a one-hot column holds where a row has its level (1 / its scale).
    places: (p,), where in the matrix each column is, those of ``numeric`` first.
    """

    numeric: Columns
    codes: Codes
    levels: tuple[int, ...]
    cell: Vector
    places: Index

    @classmethod
    def of(
        cls,
        numeric: Columns | Matrix,
        codes: npt.ArrayLike,
        levels: tuple[int, ...] | None = None,
        *,
        places: Index | None = None,
    ) -> CodedColumns:
        """Numbers (n, q) and codes (n, c) in 0…levels - 1, -1 for none; raises ValueError.

        levels: as they occur.  places: the numbers first, then the levels of each categorical.
        """
        kept = (
            DenseColumns(np.ascontiguousarray(numeric, dtype=np.float64))
            if isinstance(numeric, np.ndarray)
            else numeric
        )
        given: npt.NDArray[Any] = np.asarray(codes)
        if given.ndim != 2 or len(given) != kept.shape[0] or given.dtype.kind not in "iu":
            raise ValueError(f"codes must be whole numbers in {kept.shape[0]} rows, a column for each categorical")
        largest = given.max(axis=0, initial=-1)
        counts = tuple(int(top) + 1 for top in largest) if levels is None else levels
        if len(counts) != given.shape[1] or (largest >= counts).any() or (given.min(initial=0) < -1):
            raise ValueError("every code must be -1 or from 0 to the number of levels less one")
        by_categorical = np.ascontiguousarray(given.T, dtype=np.int32)
        none = np.array(counts, dtype=np.int32)[:, None]
        order = np.arange(kept.shape[1] + sum(counts)) if places is None else places
        return cls(kept, np.where(by_categorical < 0, none, by_categorical), counts, np.ones(sum(counts)), order)

    @property
    def n_numeric(self) -> int:
        return self.numeric.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        return self.numeric.shape[0], self.n_numeric + len(self.cell)

    @property
    def row_numbers(self) -> int:
        return self.numeric.row_numbers + len(self.levels)

    @property
    def pass_height(self) -> int:
        return BLOCK_ROWS

    @property
    def gram_height(self) -> int:
        return max(1, self.shape[0])

    def block(self, rows: slice) -> CodedColumns:
        return replace(self, numeric=self.numeric.block(rows), codes=self.codes[:, rows])

    def take(self, rows: Index) -> CodedColumns:
        return replace(self, numeric=self.numeric.take(rows), codes=np.ascontiguousarray(self.codes[:, rows]))

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self)

    def select(self, columns: Index) -> CodedColumns:
        wanted = np.full(self.shape[1], -1)
        wanted[columns] = np.arange(len(columns))
        wanted = wanted[self.places]
        kept, q = np.flatnonzero(wanted >= 0), self.n_numeric
        codes, levels = [], []
        for place, code, _ in self._categoricals():
            is_kept = wanted[q + place.start : q + place.stop] >= 0
            # A level that is not kept is none.
            number = np.where(is_kept, np.cumsum(is_kept) - 1, is_kept.sum())
            codes.append(np.append(number, is_kept.sum()).astype(np.int32)[code])
            levels.append(int(is_kept.sum()))
        numeric = self.numeric.select(kept[kept < q])
        stacked = np.array(codes, dtype=np.int32).reshape(len(codes), self.shape[0])
        return CodedColumns(numeric, stacked, tuple(levels), self.cell[kept[kept >= q] - q], wanted[kept])

    def is_idle(self) -> bool:
        return not self.n_numeric or self.numeric.is_idle()

    def conditioning(self) -> Scaling:
        numeric, n_rows = self.numeric.conditioning(), self.shape[0]
        share = self._counts(np.ones(n_rows)) / n_rows
        spread = np.abs(self.cell) * np.sqrt(share * (1.0 - share))
        spread[spread == 0] = 1.0
        centre = np.append(numeric.centre, np.zeros(len(spread)))
        return Scaling(self._placed(centre), self._placed(np.append(numeric.scale, spread)))

    def scaled(self, scaling: Scaling) -> CodedColumns:
        q, centre, scale = self.n_numeric, scaling.centre[self.places], scaling.scale[self.places]
        if centre[q:].any():
            raise ValueError("one-hot columns as codes cannot be centred")
        numeric = self.numeric.scaled(Scaling(centre[:q], scale[:q]))
        return replace(self, numeric=numeric, cell=self.cell / scale[q:])

    def largest_magnitudes(self) -> Vector:
        present = self._counts(np.ones(self.shape[0])) > 0
        return self._placed(np.append(self.numeric.largest_magnitudes(), present * np.abs(self.cell)))

    def _placed(self, values: Vector) -> Vector:
        """Values of the columns, (p,), in the order of the matrix."""
        placed = np.empty_like(values)
        placed[self.places] = values
        return placed

    def _counts(self, weights: Vector) -> Vector:
        """The weight of the rows that have each level, (Σ levels,)."""
        counts = [np.bincount(code, weights=weights, minlength=n + 1)[:n] for _, code, n in self._categoricals()]
        return np.concatenate([*counts, np.zeros(0)])

    def _categoricals(self) -> Iterator[tuple[slice, Codes, int]]:
        """Of each: its place in ``cell``, its codes and the number of its levels."""
        edges = np.cumsum([0, *self.levels])
        for (start, stop), code in zip(pairwise(edges.tolist()), self.codes, strict=True):
            yield slice(start, stop), code, stop - start

    @property
    def _numbers(self) -> Block:
        return self.numeric.block(slice(0, self.shape[0]))

    def dense(self) -> Matrix:
        dense = np.zeros(self.shape)
        dense[:, : self.n_numeric] = self._numbers.dense()
        for place, code, n in self._categoricals():
            rows = np.flatnonzero(code < n)
            dense[rows, self.n_numeric + place.start + code[rows]] = self.cell[place][code[rows]]
        in_order = np.empty_like(dense)
        in_order[:, self.places] = dense
        return in_order

    def product(self, w: Matrix) -> Matrix:
        w = w[self.places]
        by_level = w[self.n_numeric :] * (self.cell if w.ndim == 1 else self.cell[:, None])
        total = self._numbers.product(w[: self.n_numeric])
        for place, code, _ in self._categoricals():
            # The row of zeros is what a row without a level gets.
            table = np.concatenate([by_level[place], np.zeros((1, *w.shape[1:]))])
            total += table.take(code, axis=0)
        return total

    def transposed_product(self, values: Matrix) -> Matrix:
        if values.ndim == 2:
            return np.array([self.transposed_product(np.ascontiguousarray(column)) for column in values.T])
        return self._placed(np.append(self._numbers.transposed_product(values), self._counts(values) * self.cell))

    def gram(self, weights: Vector, *, with_ones: bool, single: bool = False) -> Matrix:  # noqa: ARG002 — counts gain nothing by it
        q, n_columns = self.n_numeric, self.shape[1]
        gram = np.zeros((n_columns + int(with_ones),) * 2)
        numbers = self._numbers.dense()
        sides = [*(weights * number for number in numbers.T), *([weights] if with_ones else [])]
        ends = [*range(q), n_columns][: len(sides)]
        gram[np.ix_(ends, ends)] = DenseColumns(numbers).gram(weights, with_ones=with_ones)
        known = [(slice(q + place.start, q + place.stop), code, n) for place, code, n in self._categoricals()]
        for index, (own, code, n) in enumerate(known):
            gram[own, own] = np.diag(np.bincount(code, weights=weights, minlength=n + 1)[:n])
            for end, side in zip(ends, sides, strict=True):
                gram[end, own] = gram[own, end] = np.bincount(code, weights=side, minlength=n + 1)[:n]
            for other, other_code, m in known[:index]:
                pairs = np.bincount(code * np.intp(m + 1) + other_code, weights=weights, minlength=(n + 1) * (m + 1))
                gram[own, other] = pairs.reshape(n + 1, m + 1)[:n, :m]
                gram[other, own] = gram[own, other].T
        cells = np.concatenate([np.ones(q), self.cell, np.ones(int(with_ones))])
        gram *= cells[:, None] * cells
        in_order, places = np.empty_like(gram), np.append(self.places, [n_columns] * with_ones).astype(np.intp)
        in_order[np.ix_(places, places)] = gram
        return in_order

    def row_gram(self, column_weights: Vector) -> Matrix:
        return DenseColumns(self.dense()).row_gram(column_weights)

    def magnitudes(self) -> CodedColumns:
        return replace(self, numeric=self._numbers.magnitudes(), cell=np.abs(self.cell))

    def squares(self) -> CodedColumns:
        return replace(self, numeric=self._numbers.squares(), cell=self.cell**2)

    def square_norms(self) -> Vector:
        total = self._numbers.square_norms()
        for place, code, _ in self._categoricals():
            total += np.append(self.cell[place] ** 2, 0.0).take(code)
        return total
