"""Training tables from Parquet files.  Needs pyarrow, which comes with the extra ``train``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.errors import EmptyInput, InvalidParquet, NonFinite, quoted
from service.tabular.table import Column, Table, block_rows, check_column_names

if TYPE_CHECKING:
    from pyarrow import Array, DataType, RecordBatch, Schema as ArrowSchema

_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NUMERIC = _INTEGERS | {"halffloat", "float", "double", "bool", "null"}
_TEXT = frozenset({"string", "large_string", "string_view"})
# A row group, which may be larger than the memory, is read in pieces, and not before it is needed.
_PIECE_BYTES = 1 << 16


def parquet_chunks(path: Path) -> Iterator[Table]:
    """The rows of one Parquet file, some at a time; nulls are missing cells, booleans are 0 and 1.

    Whole numbers beyond 2^53 become the nearest double.  Raises InvalidParquet for a file that cannot be read, for a
    column that is neither numbers, booleans, strings nor a dictionary of strings (naming column and type), and with the
    remedy when pyarrow is not installed; EmptyInput, NonFinite, or DuplicateFeature.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  the extra ``train`` is not always installed
        import pyarrow.parquet as pq  # noqa: PLC0415  as above
    except ModuleNotFoundError:
        raise InvalidParquet(
            "reading Parquet needs pyarrow, which is not installed", hint="pip install 'logitd[train]'"
        ) from None
    n_rows = 0
    try:
        with pq.ParquetFile(path, buffer_size=_PIECE_BYTES, pre_buffer=False) as file:
            _check_schema(file.schema_arrow)
            for batch in file.iter_batches(block_rows(len(file.schema_arrow.names))):
                yield _chunk(batch, n_rows)
                n_rows += batch.num_rows
    except (pa.ArrowException, OSError):
        raise InvalidParquet("not a readable Parquet file; is it cut short?") from None
    if not n_rows:
        raise EmptyInput("no data rows")


def _chunk(batch: RecordBatch, first_row: int) -> Table:
    names = tuple(batch.schema.names)
    columns = tuple(_column(name, column, first_row) for name, column in zip(names, batch.columns, strict=True))
    return Table(names, columns, batch.num_rows)


def _check_schema(schema: ArrowSchema) -> None:
    """Raise before any cell is read when a column is not wanted."""
    if not schema.names:
        raise InvalidParquet("the file has no columns")
    check_column_names(schema.names)
    for field in schema:
        if str(field.type) not in _NUMERIC and not _is_text(field.type):
            raise InvalidParquet(
                f"column {quoted(field.name)} has the type {quoted(field.type)}; expected numbers, booleans or strings"
            )


def _is_text(dtype: DataType) -> bool:
    name = str(dtype)
    return name in _TEXT or (name.startswith("dictionary<") and str(dtype.value_type) in _TEXT)


def _column(name: str, column: Array, first_row: int) -> Column:
    if _is_text(column.type):
        # One string for all equal cells.
        encoded = column.cast("string").dictionary_encode()
        texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=np.object_)
        return np.asarray(texts[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)], dtype=np.object_)
    # Not "safe": a whole number beyond 2^53 is rounded, as it is everywhere else.
    numbers: Column = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    infinite = np.isinf(numbers.astype(np.float64, copy=False))
    if infinite.any():
        row = first_row + int(np.argmax(infinite))
        raise NonFinite(f"row {row}, column {quoted(name)} is infinite")
    return numbers
