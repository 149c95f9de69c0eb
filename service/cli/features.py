"""The rows of a file as the columns of a model, for ``logitd predict``."""

from __future__ import annotations

import re
import sys
from io import BytesIO
from pathlib import Path

from service.cli.places import at, shown
from service.cli.surroundings import messages
from service.errors import InvalidCsv, ServiceError, UnreadableFile
from service.tabular.csv_reader import csv_table
from service.tabular.csv_text import CsvFile
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.limits import Limits
from service.tabular.readers import CSV, read_table
from service.tabular.schema import CategoricalFeature, Schema
from service.tabular.table import Table

LINE = re.compile(r"line ([0-9]+): ")
NO_LIMITS = Limits(max_rows=sys.maxsize, max_features=sys.maxsize, max_cells=sys.maxsize)


def read_features(data: str, schema: Schema) -> Table:
    """The columns of DATA that the model knows; others, such as the target, are left out and named on stderr.

    A CSV file or standard input is read by the schema, as HTTP reads a body: a cell that is missing in all rows is
    missing, not a fault.  Patterns and Parquet files tell the kinds of their columns themselves.
    Raises UnreadableFile and the errors of the readers, file and line in front.
    """
    table = read_rows(data, schema)
    extra = [name for name in table.names if name not in schema.names]
    for name in extra:
        table = table.without(name)
    if extra:
        messages().print(f"left out, not columns of the model: {', '.join(map(ascii, extra))}", soft_wrap=True)
    return table


def read_rows(data: str, schema: Schema) -> Table:
    if data in DATASETS:
        return load_dataset(data).table
    if data == "-":
        return rows_of_csv(sys.stdin.buffer.read(), data, schema)
    if data.lower().endswith(CSV) and Path(data).is_file():
        return rows_of_csv(read_bytes(Path(data)), data, schema)
    return read_table(data, missing_values=schema.missing_values, stdin=sys.stdin.buffer)


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"cannot read {shown(str(path))}: {(error.strerror or 'it failed').lower()}") from None


def rows_of_csv(body: bytes, data: str, schema: Schema) -> Table:
    """The rows of CSV with a header row by the schema, columns that it does not have as text."""
    file = CsvFile(BytesIO(body), shown(data))
    line, names = next(file.records(), (1, []))
    file.check_header(line, names)
    others = [name for name in names if name not in schema.names]
    if names and len(others) == len(names):
        raise InvalidCsv(f"{file.at(line)}the header row names no column of the model")
    text = (CategoricalFeature(name=name, categories=("",), frequencies=(1.0,)) for name in others)
    wider = Schema(features=(*schema.features, *text), missing_values=schema.missing_values)
    try:
        return csv_table(body, wider, NO_LIMITS)
    except ServiceError as error:
        in_line = LINE.match(error.detail)
        if in_line is None:
            raise at(shown(data), error) from error
        rest = error.detail[in_line.end() :]
        raise type(error)(f"{file.at(int(in_line[1]))}{rest}", errors=error.errors, hint=error.hint) from error
