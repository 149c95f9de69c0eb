"""Training tables from what a user names: a file, several files by a pattern, or standard input."""

from __future__ import annotations

import glob
import stat
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from service.errors import InvalidParquet, ServiceError, UnknownFeature, UnreadableFile, quoted
from service.tabular.csv_reader import csv_chunks
from service.tabular.csv_text import CsvFile
from service.tabular.parquet_reader import parquet_chunks
from service.tabular.schema import nearest
from service.tabular.table import Column, Table, is_numeric

CSV, PARQUET = ".csv", ".parquet"

# What is packed is unpacked by who knows how large it becomes.
UNPACKING = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dc", ".zip": "unzip -p"}

ParquetReader: TypeAlias = Callable[[Path], Iterable[Table]]


def read_chunks(
    source: str,
    *,
    stdin: BinaryIO,
    missing_values: Collection[str] = (),
    categorical: Collection[str] = (),
    target: str | None = None,
    parquet: ParquetReader = parquet_chunks,
) -> Iterator[Table]:
    """The rows in ``source``, some at a time: a path ending in .csv or .parquet, a pattern of such, or ``-`` for CSV on
    ``stdin``.

    The files of a pattern (``glob``) are read in the order of their names and need the same columns.
    missing_values, categorical, target: see ``csv_reader.csv_chunks``.  Parquet has its own missing cells and ignores
    the first; numbers in a column that ``categorical`` names become their shortest text ("3", "0.5").
    parquet: what reads one Parquet file.
    Until a cell of a column has a value the column may be numeric, and text from there on; see ``concatenated``.

    Raises UnreadableFile, or what the reader of the format raises, the file's name in front.
    """
    if source == "-":
        yield from csv_chunks([CsvFile(stdin, "stdin")], missing_values, categorical, target)
        return
    paths = _paths(source)
    if paths[0].suffix.lower() != CSV:
        yield from (_with_text(chunk, categorical) for chunk in _parquet_chunks(paths, parquet))
        return
    with closing(_opened(paths)) as files:
        yield from csv_chunks(files, missing_values, categorical, target)


def _paths(source: str) -> list[Path]:
    paths = [Path(path) for path in sorted(glob.glob(source)) or [source]]  # noqa: PTH207  Path.glob: relative only
    for path in paths:
        _check_readable(path)
    suffixes = {path.suffix.lower() for path in paths}
    if not suffixes <= {CSV, PARQUET}:
        unpack = next((UNPACKING[suffix] for suffix in suffixes if suffix in UNPACKING), None)
        raise UnreadableFile(
            f"cannot read {quoted(source)}: expected a name that ends in .csv or .parquet",
            hint=unpack and f"unpack CSV on the way: {unpack} FILE | logitd … -",
        )
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
    if stat.S_ISDIR(mode):
        raise UnreadableFile(f"cannot read {quoted(path)}: it is a directory")
    raise UnreadableFile(f"cannot read {quoted(path)}: it is not a regular file", hint="a pipe is read as -")


def _opened(paths: Sequence[Path]) -> Generator[CsvFile, None, None]:
    for path in paths:
        with path.open("rb") as stream:
            yield CsvFile(stream, _shown(path))


def _shown(path: Path) -> str:
    return quoted(path.name)[1:-1]


def _parquet_chunks(paths: Sequence[Path], parquet: ParquetReader) -> Iterator[Table]:
    first: Table | None = None
    for path in paths:
        try:
            for chunk in parquet(path):
                first = first or chunk
                _check_alike(chunk, first)
                yield chunk
        except ServiceError as error:
            raise type(error)(f"{_shown(path)}: {error.detail}", errors=error.errors, hint=error.hint) from None


def _check_alike(chunk: Table, first: Table) -> None:
    if chunk.names != first.names:
        raise InvalidParquet("the columns are not the same as in the first file")
    for (name, column), expected in zip(chunk, first.columns, strict=True):
        if column.dtype != expected.dtype:
            raise InvalidParquet(f"column {quoted(name)} is of another kind than in the first file")


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
