"""``Table``: named columns of raw input, as a file or a request holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import DuplicateFeature, InvalidInput, LengthMismatch, quoted

NumericColumn: TypeAlias = npt.NDArray[np.float64]  # NaN is a missing cell
TextColumn: TypeAlias = npt.NDArray[np.object_]  # str, or None for a missing cell
Column: TypeAlias = NumericColumn | TextColumn

MAX_COLUMN_NAME_LENGTH = 256


def is_numeric(column: Column) -> bool:
    return column.dtype == np.float64


def missing_cells(column: Column) -> npt.NDArray[np.bool_]:
    """Where the column has no value, shape (n_rows,)."""
    if is_numeric(column):
        return np.isnan(column.astype(np.float64, copy=False))
    # Looked at twice, to fill and to indicate: a loop over the cells takes more than twice as long.
    return np.asarray(np.equal(column, np.array(None, dtype=np.object_)), dtype=np.bool_)


def check_column_names(names: Sequence[str]) -> None:
    """Raise when a name is empty, too long, not printable, or there twice."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        pointer = f"/feature_names/{index}"
        if not name or len(name) > MAX_COLUMN_NAME_LENGTH or not name.isprintable():
            raise InvalidInput(
                f"column {index} has a name that is empty, longer than {MAX_COLUMN_NAME_LENGTH} characters, "
                "or has control characters",
                pointer=pointer,
            )
        if name in seen:
            raise DuplicateFeature(f"two columns are named {quoted(name)}", pointer=pointer)
        seen.add(name)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, each float64 (NaN is missing) or object (str, None is missing).

    Raises DuplicateFeature, LengthMismatch or InvalidInput when names or lengths do not fit together.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    n_rows: int

    def __post_init__(self) -> None:
        check_column_names(self.names)
        if len(self.names) != len(self.columns):
            raise LengthMismatch(f"{len(self.names)} names for {len(self.columns)} columns")
        for name, column in zip(self.names, self.columns, strict=True):
            if len(column) != self.n_rows:
                raise LengthMismatch(f"column {quoted(name)} has {len(column)} cells, expected {self.n_rows}")

    def __iter__(self) -> Iterator[tuple[str, Column]]:
        return iter(zip(self.names, self.columns, strict=True))

    def column(self, name: str) -> Column:
        """The column of this name; KeyError when there is none."""
        try:
            return self.columns[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def without(self, name: str) -> Table:
        """The table less one column."""
        kept = [(n, c) for n, c in self if n != name]
        return Table(tuple(n for n, _ in kept), tuple(c for _, c in kept), self.n_rows)

    def rows(self, index: npt.NDArray[np.intp]) -> Table:
        """The table of the rows at ``index``, in that order."""
        return Table(self.names, tuple(column[index] for column in self.columns), len(index))
