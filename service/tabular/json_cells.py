"""From the cells of parsed JSON to the columns of a ``Table``: kinds, missing cells, and the place of what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import NonFinite, WrongType, quoted
from service.tabular.table import Column, NumericColumn, Places, TextColumn

Matrix: TypeAlias = npt.NDArray[np.float64]

_NUMBERS = frozenset({int, float, type(None)})
_LARGEST = sys.float_info.max
_JSON_TYPES = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a string",
}


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of one length, in the order of the names of ``places``."""

    places: Places
    rows: Sequence[Sequence[object]]

    @property
    def names(self) -> tuple[str, ...]:
        return self.places.names

    def cell_pointer(self, row: int, column: int) -> str:
        return self.places.cell(row, self.names[column])

    def place(self, row: int, column: int) -> str:
        return f"row {row}, column {quoted(self.names[column])}"


def columns_of_kinds(cells: Cells, numeric: Sequence[bool]) -> tuple[Column, ...]:
    """The columns, each float64 where ``numeric``, else object; ``null`` and NaN become missing cells.

    Raises WrongType or NonFinite with the pointer of the first such cell of the first column that has one.
    """
    if all(numeric):
        matrix = _clean_matrix(cells.rows)
        if matrix is not None:
            return tuple(np.ascontiguousarray(matrix.T))
    return tuple(
        numeric_column(cells, index, column) if numeric[index] else text_column(cells, index, column)
        for index, column in enumerate(zip(*cells.rows, strict=True))
    )


def inferred_columns(cells: Cells) -> tuple[Column, ...]:
    """The columns, each of the kind of its first cell that is not ``null``; without one it is numeric.

    Raises WrongType or NonFinite with the pointer of the first cell that does not fit.
    """
    return columns_of_kinds(cells, [_looks_numeric(column) for column in zip(*cells.rows, strict=True)])


def _looks_numeric(column: Sequence[object]) -> bool:
    return not isinstance(next((cell for cell in column if not _is_missing(cell)), None), str)


def _clean_matrix(rows: Sequence[Sequence[object]]) -> Matrix | None:
    """All cells at once, shape (n_rows, n_columns), or None when one of them needs a closer look."""
    if not set(map(type, chain.from_iterable(rows))) <= _NUMBERS:
        return None
    try:
        matrix = np.array(rows, dtype=np.float64)
    except OverflowError:
        return None
    return None if np.isinf(matrix).any() else matrix


def numeric_column(cells: Cells, index: int, column: Sequence[object]) -> NumericColumn:
    if not set(map(type, column)) <= _NUMBERS:
        row = next(row for row, cell in enumerate(column) if type(cell) not in _NUMBERS)
        raise _wrong_type(cells, row, index, "a number")
    try:
        numbers = np.array(column, dtype=np.float64)
    except OverflowError:
        raise _non_finite(cells, index, column) from None
    if np.isinf(numbers).any():
        raise _non_finite(cells, index, column)
    return numbers


def text_column(cells: Cells, index: int, column: Sequence[object]) -> TextColumn:
    for row, cell in enumerate(column):
        if not isinstance(cell, str) and not _is_missing(cell):
            raise _wrong_type(cells, row, index, "a string")
    texts = np.empty(len(column), dtype=np.object_)
    texts[:] = [cell if isinstance(cell, str) else None for cell in column]
    return texts


def _wrong_type(cells: Cells, row: int, index: int, expected: str) -> WrongType:
    found = _JSON_TYPES[type(cells.rows[row][index])]
    return WrongType(
        f"{cells.place(row, index)} is {found}; expected {expected}", pointer=cells.cell_pointer(row, index)
    )


def _non_finite(cells: Cells, index: int, column: Sequence[object]) -> NonFinite:
    row = next(row for row, cell in enumerate(column) if isinstance(cell, int | float) and abs(cell) > _LARGEST)
    return NonFinite(
        f"{cells.place(row, index)} is infinite or too large for a 64-bit float", pointer=cells.cell_pointer(row, index)
    )


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and isnan(cell))
