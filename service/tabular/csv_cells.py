"""What a CSV cell means: a number, text, or a missing value; and the columns that follow from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isinf

import numpy as np

from service.tabular.table import NumericColumn, TextColumn

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSING_SPELLINGS = frozenset({"NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A"})

LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")

_NUMBER_CHARACTERS = b"0123456789+-.eE"
_INFINITY = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


def is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def is_infinite(cell: str) -> bool:
    """Whether the cell spells infinity, or a number that a double cannot hold."""
    return _INFINITY.fullmatch(cell) is not None or (is_number(cell) and isinf(float(cell)))


def doubtful(cell: str) -> str | None:
    """Why a cell can be taken neither for a number nor for text without asking, or None."""
    if cell in MISSING_SPELLINGS:
        return "is one of the usual spellings of a missing value"
    if is_infinite(cell):
        return "is infinite or too large for a 64-bit float"
    if not is_number(cell) and is_number(cell.strip()):
        return "has spaces around its number"
    return None


def numbers(cells: Sequence[str]) -> NumericColumn | None:
    """The cells as doubles, or None when one is not a finite number."""
    # All characters at once: a regular expression for each cell takes four times as long.
    if "".join(cells).encode().translate(None, _NUMBER_CHARACTERS):
        return None
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    return None if np.isinf(values).any() else values


def numbers_or_missing(cells: Sequence[str], missing: frozenset[str]) -> NumericColumn | None:
    """The cells as doubles, NaN where a cell is one of ``missing``, or None when another is not a finite number."""
    values = numbers(cells)
    if values is not None and missing.isdisjoint(cells):
        return values
    present = np.array([cell not in missing for cell in cells], dtype=np.bool_)
    values = numbers([cell for cell in cells if cell not in missing])
    if values is None:
        return None
    column = np.full(len(cells), np.nan)
    column[present] = values
    return column


def texts(cells: Sequence[str], missing: frozenset[str]) -> TextColumn:
    """The cells as strings, None where a cell is one of ``missing``."""
    # One string for all equal cells: the csv module makes a new one for each.
    meaning = {cell: None if cell in missing else cell for cell in cells}
    column = np.empty(len(cells), dtype=np.object_)
    column[:] = [meaning[cell] for cell in cells]
    return column
