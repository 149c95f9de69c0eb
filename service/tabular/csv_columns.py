"""Columns of a training table, read from CSV block by block, their kinds settled by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.errors import InvalidCsv, quoted
from service.tabular.csv_cells import LEADING_ZERO, doubtful, is_number, numbers_or_missing, texts
from service.tabular.csv_text import CsvFile
from service.tabular.table import Column, TextColumn


@dataclass(slots=True)
class ColumnReader:
    """One column: numeric or text from its first block with a value on, text from the start when ``is_categorical``.

    missing: the cells that stand for no value, the empty one among them.
    is_target: whether its cells are labels, which must not become others by being read as numbers.
    """

    name: str
    missing: frozenset[str]
    is_categorical: bool
    is_target: bool = False
    kind: Literal["numeric", "text"] | None = None

    def block(self, file: CsvFile, lines: Sequence[int], cells: Sequence[str]) -> Column:
        """The cells of the rows that begin in ``lines``: numbers as long as no cell of the column has had a value.

        Raises InvalidCsv for a cell of the other kind.
        """
        if self.is_categorical:
            return self._texts(cells)
        values = None if self.kind == "text" else numbers_or_missing(cells, self.missing)
        if values is None:
            self._check_text(file, lines, cells)
            return self._texts(cells)
        if self.is_target and any(map(self._doubt, set(cells) - self.missing)):
            raise self._wrong_cell(file, lines, cells, lambda cell: self._doubt(cell) is not None)
        if not np.isnan(values).all():
            self.kind = "numeric"
        return values

    def check_has_value(self, file: CsvFile) -> None:
        """Raise InvalidCsv when no cell so far has a value."""
        if self.kind is None:
            raise InvalidCsv(f"{file.prefix}column {quoted(self.name)} has no value in any row; remove it")

    def _texts(self, cells: Sequence[str]) -> TextColumn:
        if not self.missing.issuperset(cells):
            self.kind = "text"
        return texts(cells, self.missing)

    def _check_text(self, file: CsvFile, lines: Sequence[int], cells: Sequence[str]) -> None:
        distinct = set(cells) - self.missing
        if any(map(self._doubt, distinct)):
            raise self._wrong_cell(file, lines, cells, lambda cell: self._doubt(cell) is not None)
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
            f"{file.at(lines[row])}column {quoted(self.name)} {self._doubt(cells[row]) or mixture}",
            hint="if this means a missing value, pass its spelling to --missing-values; "
            f"if the column is text, pass --categorical {quoted(self.name)}",
        )

    def _doubt(self, cell: str) -> str | None:
        """Why the cell can be taken neither for a number nor for text without asking, or None."""
        if self.is_target and LEADING_ZERO.fullmatch(cell):
            return "has a leading zero, which the label would lose as a number"
        return doubtful(cell)
