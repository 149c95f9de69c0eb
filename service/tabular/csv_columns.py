"""Columns of a training table, filled from CSV block by block, their kinds settled by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from service.errors import InvalidCsv, quoted
from service.tabular.csv_cells import doubtful, is_number, numbers_or_missing, texts
from service.tabular.csv_text import CsvFile
from service.tabular.table import Column, TextColumn, is_numeric


@dataclass(slots=True)
class ColumnBuilder:
    """One column: numeric or text from its first block with a value on, text from the start when ``is_categorical``.

    missing: the cells that stand for no value, the empty one among them.
    """

    name: str
    missing: frozenset[str]
    is_categorical: bool
    kind: Literal["numeric", "text"] | None = None
    parts: list[Column] = field(default_factory=list)

    def add(self, file: CsvFile, lines: Sequence[int], cells: Sequence[str]) -> None:
        """Append the cells of the rows that begin in ``lines``.  Raises InvalidCsv for a cell of the other kind."""
        if self.is_categorical:
            self._append_text(cells)
            return
        values = None if self.kind == "text" else numbers_or_missing(cells, self.missing)
        if values is None:
            self._check_text(file, lines, cells)
            self._append_text(cells)
            return
        self.parts.append(values)
        if not np.isnan(values).all():
            self.kind = "numeric"

    def column(self, file: CsvFile) -> Column:
        """All cells.  Raises InvalidCsv when none has a value."""
        if self.kind is None:
            raise InvalidCsv(f"{file.prefix}column {quoted(self.name)} has no value in any row; remove it")
        if self.kind == "numeric":
            return np.concatenate([part.astype(np.float64, copy=False) for part in self.parts])
        return np.concatenate([_texts_of(part) for part in self.parts])

    def _append_text(self, cells: Sequence[str]) -> None:
        self.parts.append(texts(cells, self.missing))
        if not self.missing.issuperset(cells):
            self.kind = "text"

    def _check_text(self, file: CsvFile, lines: Sequence[int], cells: Sequence[str]) -> None:
        distinct = set(cells) - self.missing
        if any(doubtful(cell) for cell in distinct):
            raise self._wrong_cell(file, lines, cells, lambda cell: doubtful(cell) is not None)
        n_numbers = sum(map(is_number, distinct))
        if self.kind == "text" and n_numbers:
            raise self._wrong_cell(file, lines, cells, is_number)
        if self.kind == "numeric" or n_numbers:
            raise self._wrong_cell(file, lines, cells, lambda cell: not is_number(cell))

    def _wrong_cell(
        self, file: CsvFile, lines: Sequence[int], cells: Sequence[str], is_wrong: Callable[[str], bool]
    ) -> InvalidCsv:
        row = next(row for row, cell in enumerate(cells) if cell not in self.missing and is_wrong(cell))
        mixture = "is a number among text" if is_number(cells[row]) else "is not a number, and others are"
        return InvalidCsv(
            f"{file.at(lines[row])}column {quoted(self.name)} {doubtful(cells[row]) or mixture}",
            hint="if this means a missing value, pass its spelling to --missing-values; "
            f"if the column is text, pass --categorical {quoted(self.name)}",
        )


def _texts_of(part: Column) -> TextColumn:
    """A block of a text column; one of numbers held missing cells only, before the column was known to be text."""
    if is_numeric(part):
        return np.full(len(part), None, dtype=np.object_)
    return part.astype(np.object_, copy=False)
