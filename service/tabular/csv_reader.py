"""Tables from CSV: kinds inferred for training, given by the schema for predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from typing import BinaryIO

from service.errors import EmptyInput, FeatureCount, InvalidCsv, NonFinite, UnknownFeature, WrongType, quoted
from service.tabular.csv_cells import is_infinite, is_number, numbers_or_missing, texts
from service.tabular.csv_columns import ColumnReader
from service.tabular.csv_text import CsvFile, Record
from service.tabular.limits import Limits
from service.tabular.schema import NumericFeature, Schema, nearest
from service.tabular.table import Column, Table, block_rows, concatenated


def read_csv(
    source: bytes | BinaryIO,
    *,
    name: str = "",
    missing_values: Collection[str] = (),
    categorical: Collection[str] = (),
    target: str | None = None,
    limits: Limits | None = None,
) -> Table:
    """A training table from CSV with a header row: see ``csv_chunks``.

    name: of the file, for the errors, which begin ``name:line:``; without one they begin ``line n:``.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    return concatenated(csv_chunks([CsvFile(stream, name)], missing_values, categorical, target, limits))


def csv_chunks(
    files: Iterable[CsvFile],
    missing_values: Collection[str] = (),
    categorical: Collection[str] = (),
    target: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Table]:
    """The rows of CSV files that have equal header rows, some at a time, for a training table.

    A cell is missing when it is empty or one of ``missing_values``.  A column is numeric when its other cells are
    finite numbers, text when none is a number or when ``categorical`` names it.  A mixture is refused, and so are the
    usual spellings of a missing value, unless declared: a guess here would silently change the model; so is a label of
    the column ``target`` that has a leading zero.  Until a cell of
    a column has a value the column is numeric; the kind holds over all chunks from there on.

    Raises InvalidCsv naming line and column, EmptyInput, UnknownFeature (``categorical``) or an error of ``limits``.
    """
    reading = _ChunkReader(frozenset({"", *missing_values}), categorical, target, limits)
    file = CsvFile(BytesIO())
    for file in files:
        yield from reading.chunks(file)
    reading.check_end(file)


def csv_table(body: bytes, schema: Schema, limits: Limits) -> Table:
    """The rows of a prediction request in CSV, kinds and missing values by ``schema``.

    The first row is a header when its cells are the schema's names, in any order; without a header the columns are in
    the schema's order.  Raises InvalidCsv naming the line, EmptyInput, UnknownFeature, MissingFeature, FeatureCount, an
    error of ``limits``, or WrongType and NonFinite with the pointer ``/instances/<row>/<column of the schema>``.
    """
    file = CsvFile(BytesIO(body))
    # A header and a row too many are enough to refuse the body: records take a hundred times the memory of their bytes.
    records = list(islice(file.records(max_blank_lines=limits.max_rows), limits.max_rows + 2))
    if records:
        limits.check(1, len(records[0][1]))
    request = _CsvRequest(file, schema)
    names = request.take_header(records)
    if not records:
        raise EmptyInput("no data rows")
    width = len(records[0][1])
    limits.check(len(records), width)
    if width != len(names):
        raise FeatureCount(f"{file.at(records[0][0])}expected {len(names)}, got {width} cells", pointer="/instances/0")
    file.check_width(records, width)
    lines = [line for line, _ in records]
    columns = zip(*(cells for _, cells in records), strict=True)
    return Table(
        names,
        tuple(request.column(name, lines, cells) for name, cells in zip(names, columns, strict=True)),
        len(records),
    )


def csv_features(file: CsvFile, schema: Schema) -> Iterator[Table]:
    """The rows of a CSV file to be predicted, some at a time: kinds and missing values by the schema.

    It has a header row; columns that the schema does not know, such as the target, are text.  Raises InvalidCsv naming
    the line, EmptyInput, WrongType, NonFinite.
    """
    request, records = _CsvRequest(file, schema), file.records()
    line, names = next(records, (1, []))
    file.check_header(line, names)
    if names and not set(names) & set(schema.names):
        raise InvalidCsv(f"{file.at(line)}the header row names no column of the model")
    is_empty = True
    for block in _blocks(records, block_rows(len(names))):
        file.check_width(block, len(names))
        lines = [line for line, _ in block]
        columns = zip(names, zip(*(cells for _, cells in block), strict=True), strict=True)
        cells = tuple(
            request.column(name, lines, column) if name in schema.names else texts(column, request.missing)
            for name, column in columns
        )
        yield Table(tuple(names), cells, len(block))
        is_empty = False
    if is_empty:
        raise EmptyInput(f"{file.prefix}no data rows")


@dataclass(slots=True)
class _ChunkReader:
    """Reads a training table, file by file."""

    missing: frozenset[str]
    categorical: Collection[str]
    target: str | None
    limits: Limits | None
    columns: list[ColumnReader] = field(default_factory=list)
    n_rows: int = 0

    def chunks(self, file: CsvFile) -> Iterator[Table]:
        records = file.records()
        header = next(records, None)
        if header is None:
            return
        self._take_header(file, *header)
        for block in _blocks(records, block_rows(len(self.columns))):
            yield self._chunk(file, block)

    def check_end(self, last: CsvFile) -> None:
        if not self.n_rows:
            raise EmptyInput(f"{last.prefix}no data rows")
        for column in self.columns:
            column.check_has_value(last)

    def _take_header(self, file: CsvFile, line: int, names: list[str]) -> None:
        file.check_header(line, names)
        if all(map(is_number, names)):
            raise InvalidCsv(f"{file.at(line)}the header row is missing: all cells of the first row are numbers")
        if not self.columns:
            self._check_categorical(names)
            self.columns = [
                ColumnReader(name, self.missing, name in self.categorical, is_target=name == self.target)
                for name in names
            ]
        if names != [column.name for column in self.columns]:
            raise InvalidCsv(f"{file.at(line)}the header row is not the same as in the first file")

    def _check_categorical(self, names: Sequence[str]) -> None:
        for name in self.categorical:
            if name not in names:
                raise UnknownFeature(
                    f"{quoted(name)} is declared categorical, but is not a column", hint=nearest(name, names)
                )

    def _chunk(self, file: CsvFile, block: list[Record]) -> Table:
        self.n_rows += len(block)
        if self.limits is not None:
            self.limits.check(self.n_rows, len(self.columns))
        file.check_width(block, len(self.columns))
        lines = [line for line, _ in block]
        by_column = zip(self.columns, zip(*(cells for _, cells in block), strict=True), strict=True)
        columns = tuple(column.block(file, lines, cells) for column, cells in by_column)
        return Table(tuple(column.name for column in self.columns), columns, len(block))


def _blocks(records: Iterator[Record], n_rows: int) -> Iterator[list[Record]]:
    while block := list(islice(records, n_rows)):
        yield block


@dataclass(frozen=True, slots=True)
class _CsvRequest:
    """What the schema makes of the cells of a request body."""

    file: CsvFile
    schema: Schema

    @property
    def missing(self) -> frozenset[str]:
        return frozenset({"", *self.schema.missing_values})

    def take_header(self, records: list[Record]) -> tuple[str, ...]:
        """The names of the columns; the header, where there is one, is removed from ``records``."""
        if not records or self._is_data(records[0][1]):
            return self.schema.names
        line, names = records.pop(0)
        self.file.check_header(line, names)
        self.schema.check_names(names)
        return tuple(names)

    def _is_data(self, cells: Sequence[str]) -> bool:
        if set(cells) == set(self.schema.names):
            return False
        if any(map(is_number, cells)):
            return True
        numeric = [isinstance(feature, NumericFeature) for feature in self.schema.features]
        fits = all(not kind or cell in self.missing for kind, cell in zip(numeric, cells, strict=False))
        return len(cells) == len(numeric) and fits

    def column(self, name: str, lines: Sequence[int], cells: Sequence[str]) -> Column:
        index = self.schema.names.index(name)
        if not isinstance(self.schema.features[index], NumericFeature):
            return texts(cells, self.missing)
        values = numbers_or_missing(cells, self.missing)
        if values is None:
            raise self._wrong_cell(index, lines, cells)
        return values

    def _wrong_cell(self, index: int, lines: Sequence[int], cells: Sequence[str]) -> WrongType | NonFinite:
        """The error for the first cell that is neither a finite number nor missing."""
        row = next(
            row
            for row, cell in enumerate(cells)
            if cell not in self.missing and (is_infinite(cell) or not is_number(cell))
        )
        place = f"{self.file.at(lines[row])}column {quoted(self.schema.names[index])}"
        pointer = f"/instances/{row}/{index}"
        if is_infinite(cells[row]):
            return NonFinite(f"{place} is infinite or too large for a 64-bit float", pointer=pointer)
        return WrongType(f"{place} is text; expected a number", pointer=pointer)
