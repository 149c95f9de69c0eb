"""The rows of a file as the columns of a model, for ``logitd predict``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from service.cli.places import shown
from service.cli.surroundings import standard_input
from service.serving.parquet_process import confined_parquet_chunks
from service.tabular.csv_reader import csv_features
from service.tabular.csv_text import CsvFile
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.readers import CSV, read_chunks
from service.tabular.schema import Schema
from service.tabular.table import Table


class Features:
    """The columns of DATA that the model knows, some rows at a time.

    A CSV file or standard input is read by the schema, as HTTP reads a body: a cell that is missing in all rows is
    missing, not a fault.  Patterns and Parquet files tell the kinds of their columns themselves.
    left_out: the other columns, such as the target, once rows have been read.
    Iterating raises UnreadableFile and the errors of the readers, file and line in front.
    """

    def __init__(self, data: str, schema: Schema) -> None:
        self._data = data
        self._schema = schema
        self.left_out: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Table]:
        for table in self._chunks():
            self.left_out = tuple(name for name in table.names if name not in self._schema.names)
            kept = [(name, column) for name, column in table if name not in self.left_out]
            yield Table(tuple(name for name, _ in kept), tuple(column for _, column in kept), table.n_rows)

    def _chunks(self) -> Iterator[Table]:
        if self._data in DATASETS:
            yield load_dataset(self._data).table
        elif self._data == "-":
            yield from csv_features(CsvFile(standard_input(self._data), shown(self._data)), self._schema)
        elif self._is_csv_file():
            with Path(self._data).open("rb") as stream:
                yield from csv_features(CsvFile(stream, shown(self._data)), self._schema)
        else:
            yield from read_chunks(
                self._data,
                missing_values=self._schema.missing_values,
                stdin=standard_input(self._data),
                parquet=confined_parquet_chunks,
            )

    def _is_csv_file(self) -> bool:
        """Whether it is one file that can be read, and no pattern; what cannot be is told by ``read_chunks``."""
        path = Path(self._data)
        try:
            return path.suffix.lower() == CSV and path.is_file() and os.access(path, os.R_OK)
        except OSError:
            return False
