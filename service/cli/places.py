"""Where in the user's file an error lies: readers know lines, what comes after them counts rows."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from service.errors import (
    InvalidInput,
    MissingFeature,
    NonFinite,
    ServiceError,
    TargetMissing,
    UnknownFeature,
    WrongType,
    quoted,
)
from service.tabular.csv_text import CsvFile
from service.tabular.datasets import DATASETS
from service.tabular.readers import CSV

ROW = re.compile(r"/(?:instances|targets)(?:/([0-9]+))?")
ROW_IN_WORDS = re.compile(r"row ([0-9]+)\b")
# Of the columns as a whole.
ABOUT_COLUMNS = frozenset({InvalidInput, MissingFeature, NonFinite, TargetMissing, UnknownFeature, WrongType})


@contextmanager
def named(data: str, first_row: int = 0) -> Iterator[None]:
    """Put the file, and the line where there is one, in front of an error in the rows or the columns of DATA.

    first_row: the row of DATA that the error counts as row 0.
    """
    try:
        yield
    except InvalidInput as error:
        row = ROW.match(error.errors[0].pointer) if error.errors else None
        if row is None and type(error) not in ABOUT_COLUMNS:
            raise
        if row is None or row[1] is None:
            raise at(shown(data), error) from error
        number = int(row[1]) + first_row
        words = ROW_IN_WORDS.sub(f"row {number}", error.detail, count=1)
        place = place_of_row(data, number)
        raise type(error)(f"{place}: {words}", errors=error.errors, hint=error.hint) from error


def at(place: str, error: ServiceError) -> ServiceError:
    """The error with its place in front."""
    return type(error)(f"{place}: {error.detail}", errors=error.errors, hint=error.hint)


def place_of_row(data: str, row: int) -> str:
    """``file:line`` of a data row of CSV files, counted from 0 over all files; else the name alone."""
    if data in DATASETS or data == "-":
        return shown(data)
    for path in sorted(glob.glob(data)) or [data]:  # noqa: PTH207 — as ``read_chunks`` finds them
        if not path.lower().endswith(CSV):
            return shown(path)
        with Path(path).open("rb") as stream:
            for line, _ in islice(CsvFile(stream).records(), 1, None):
                if row == 0:
                    return f"{shown(path)}:{line}"
                row -= 1
    return shown(data)


def shown(data: str) -> str:
    """The name of a file or data set as errors write it."""
    return "stdin" if data == "-" else quoted(Path(data).name)[1:-1]
