"""Training tables from what a user names: a file, several files by a pattern, or standard input."""

from __future__ import annotations

import glob
import stat
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import numpy as np

from service.errors import InvalidParquet, ServiceError, UnknownFeature, UnreadableFile, quoted
from service.tabular.csv_reader import read_csv, read_csv_files
from service.tabular.csv_text import CsvFile
from service.tabular.parquet_reader import read_parquet
from service.tabular.schema import nearest
from service.tabular.table import Column, Table, is_numeric

CSV, PARQUET = ".csv", ".parquet"


def read_table(
    source: str, *, stdin: BinaryIO, missing_values: Collection[str] = (), categorical: Collection[str] = ()
) -> Table:
    """The table in ``source``: a path ending in .csv or .parquet, a pattern of such, or ``-`` for CSV on ``stdin``.

    The files of a pattern (``glob``) are read in the order of their names and need the same columns.
    missing_values, categorical: see ``csv_reader.read_csv_files``.  Parquet has its own missing cells and ignores the
    first; numbers in a column that ``categorical`` names become their shortest text ("3", "0.5").

    Raises UnreadableFile, or what the reader of the format raises, the file's name in front.
    """
    if source == "-":
        return read_csv(stdin, name="stdin", missing_values=missing_values, categorical=categorical)
    paths = _paths(source)
    if paths[0].suffix.lower() == CSV:
        with closing(_opened(paths)) as files:
            return read_csv_files(files, missing_values, categorical)
    return _with_text(_concatenated(paths, [_parquet(path) for path in paths]), categorical)


def _paths(source: str) -> list[Path]:
    paths = [Path(path) for path in sorted(glob.glob(source)) or [source]]  # noqa: PTH207  Path.glob: relative only
    for path in paths:
        _check_readable(path)
    suffixes = {path.suffix.lower() for path in paths}
    if not suffixes <= {CSV, PARQUET}:
        raise UnreadableFile(f"cannot read {quoted(source)}: expected a name that ends in .csv or .parquet")
    if len(suffixes) > 1:
        raise UnreadableFile(f"cannot read {quoted(source)}: it names CSV and Parquet files; expected one format")
    return paths


def _check_readable(path: Path) -> None:
    """Raise UnreadableFile; a pipe is refused before it is opened, since without a writer that takes forever."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
            return
    except OSError as error:
        reason = (error.strerror or "it failed").lower()
        raise UnreadableFile(f"cannot read {quoted(path)}: {reason}") from None
    kind = "it is a directory" if stat.S_ISDIR(mode) else "it is not a regular file"
    raise UnreadableFile(f"cannot read {quoted(path)}: {kind}")


def _opened(paths: Sequence[Path]) -> Generator[CsvFile, None, None]:
    for path in paths:
        with path.open("rb") as stream:
            yield CsvFile(stream, _shown(path))


def _shown(path: Path) -> str:
    return quoted(path.name)[1:-1]


def _parquet(path: Path) -> Table:
    try:
        return read_parquet(path)
    except ServiceError as error:
        raise type(error)(f"{_shown(path)}: {error.detail}", errors=error.errors, hint=error.hint) from None


def _concatenated(paths: Sequence[Path], tables: Sequence[Table]) -> Table:
    first = tables[0]
    for path, table in zip(paths, tables, strict=True):
        if table.names != first.names:
            raise InvalidParquet(f"{_shown(path)}: the columns are not the same as in the first file")
        for (name, column), expected in zip(table, first.columns, strict=True):
            if column.dtype != expected.dtype:
                raise InvalidParquet(f"{_shown(path)}: column {quoted(name)} is of another kind than in the first file")
    parts = zip(*(table.columns for table in tables), strict=True)
    return Table(first.names, tuple(np.concatenate(part) for part in parts), sum(table.n_rows for table in tables))


def _with_text(table: Table, categorical: Collection[str]) -> Table:
    for name in categorical:
        if name not in table.names:
            raise UnknownFeature(
                f"{quoted(name)} is declared categorical, but is not a column", hint=nearest(name, table.names)
            )
    columns = tuple(_as_text(column) if name in categorical else column for name, column in table)
    return Table(table.names, columns, table.n_rows)


def _as_text(column: Column) -> Column:
    if not is_numeric(column):
        return column
    texts = np.empty(len(column), dtype=np.object_)
    texts[:] = [None if np.isnan(number) else np.format_float_positional(number, trim="-") for number in column]
    return texts
