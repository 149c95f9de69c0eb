"""``Table``: named columns of raw input, as a file or a request holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import DuplicateFeature, InvalidInput, LengthMismatch, quoted

NumericColumn: TypeAlias = npt.NDArray[np.float64]  # NaN is a missing cell
TextColumn: TypeAlias = npt.NDArray[np.object_]  # str, or None for a missing cell
Column: TypeAlias = NumericColumn | TextColumn
Index: TypeAlias = npt.NDArray[np.intp]

MAX_COLUMN_NAME_LENGTH = 256
# As text in Python's memory so many cells take some 20 MB, as doubles 2 MB.
BLOCK_CELLS = 1 << 18


def is_numeric(column: Column) -> bool:
    return column.dtype == np.float64


def missing_cells(column: Column) -> npt.NDArray[np.bool_]:
    """Where the column has no value, shape (n_rows,)."""
    if is_numeric(column):
        return np.isnan(column.astype(np.float64, copy=False))
    # Looked at twice, to fill and to indicate: a loop over the cells takes more than twice as long.
    return np.asarray(np.equal(column, np.array(None, dtype=np.object_)), dtype=np.bool_)


def is_column_name(name: str) -> bool:
    """Whether a column can have the name: neither empty nor too long, and no control characters."""
    return bool(name) and len(name) <= MAX_COLUMN_NAME_LENGTH and name.isprintable()


def check_column_names(names: Sequence[str], *, pointer: str = "/feature_names") -> None:
    """Raise when a name is empty, too long, not printable, or there twice; ``pointer`` is that of the list."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not is_column_name(name):
            raise InvalidInput(
                f"column {index} has a name that is empty, longer than {MAX_COLUMN_NAME_LENGTH} characters, "
                "or has control characters",
                pointer=f"{pointer}/{index}",
            )
        if name in seen:
            raise DuplicateFeature(f"two columns are named {quoted(name)}", pointer=f"{pointer}/{index}")
        seen.add(name)


def block_rows(n_columns: int) -> int:
    """How many rows of so many columns are looked at together."""
    return max(1, BLOCK_CELLS // max(n_columns, 1))


@dataclass(frozen=True, slots=True)
class Places:
    """Where the cells of a table stand in the JSON body that they came from.

    names: of the columns, in the order of an array's cells.  pointer: the JSON pointer of the list of rows, or of the
    only row when ``is_bare``.  by_name: rows are records, and a cell's pointer ends in its column's name.
    """

    names: tuple[str, ...]
    pointer: str
    by_name: bool = False
    is_bare: bool = False

    def row(self, row: int) -> str:
        """The JSON pointer of a row."""
        return self.pointer if self.is_bare else f"{self.pointer}/{row}"

    def cell(self, row: int, name: str) -> str:
        """The JSON pointer of a cell, whose column is one of ``names``."""
        if not self.by_name:
            return f"{self.row(row)}/{self.names.index(name)}"
        return f"{self.row(row)}/{name.replace('~', '~0').replace('/', '~1')}"


class Tabular(Protocol):
    """Named columns in memory (``Table``) or on disk (``SpooledTable``); iterating gives each name and its column."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def n_rows(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[str, Column]]: ...

    def column(self, name: str) -> Column:
        """The column of this name, all of it in memory; KeyError when there is none."""

    def without(self, name: str) -> Tabular:
        """The table less one column."""

    def rows(self, index: Index) -> Tabular:
        """The table of the rows at ``index``, which ascends."""

    def blocks(self, width: int = 0) -> Iterator[Table]:
        """The rows in order, some of them at a time: the fewer the more numbers (``width``) will be made of a row."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, each float64 (NaN is missing) or object (str, None is missing).

    places: where the cells stand in a JSON body, if they came from one; what is made of the table forgets it.
    Raises DuplicateFeature, LengthMismatch or InvalidInput when names or lengths do not fit together.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    n_rows: int
    places: Places | None = None

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

    def rows(self, index: Index) -> Table:
        """The table of the rows at ``index``, in that order."""
        return Table(self.names, tuple(column[index] for column in self.columns), len(index))

    def row_pointer(self, row: int) -> str:
        """The JSON pointer of a row, for errors."""
        return f"/instances/{row}" if self.places is None else self.places.row(row)

    def blocks(self, width: int = 0) -> Iterator[Table]:
        """The rows in order, some of them at a time, see ``Tabular``; no copies."""
        height = block_rows(max(width, len(self.names)))
        for start in range(0, self.n_rows, height):
            stop = min(start + height, self.n_rows)
            yield Table(self.names, tuple(column[start:stop] for column in self.columns), stop - start)


def cell_pointer(table: Tabular, row: int, name: str, index: int) -> str:
    """The JSON pointer of a cell, for errors; ``index``: of its column, where the table did not come from JSON."""
    places = table.places if isinstance(table, Table) else None
    return f"/instances/{row}/{index}" if places is None else places.cell(row, name)


def concatenated(chunks: Iterable[Table]) -> Table:
    """The rows of one chunk or more, of equal names, as one table.

    A column that is text in one chunk is text: where it is numeric it has no value yet, see ``readers.read_chunks``.
    """
    tables = list(chunks)
    columns = zip(*(table.columns for table in tables), strict=True)
    return Table(tables[0].names, tuple(map(joined, columns)), sum(table.n_rows for table in tables))


def joined(parts: Sequence[Column]) -> Column:
    """The parts of a column as one: text when one of them is, see ``concatenated``."""
    if all(map(is_numeric, parts)):
        return np.concatenate([part.astype(np.float64, copy=False) for part in parts])
    return np.concatenate([_texts_of(part) for part in parts])


def _texts_of(part: Column) -> TextColumn:
    if is_numeric(part):
        return np.full(len(part), None, dtype=np.object_)
    return part.astype(np.object_, copy=False)
