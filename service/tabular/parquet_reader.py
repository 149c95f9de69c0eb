"""Training tables from Parquet files.  Needs pyarrow, which comes with the extra ``train``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.errors import EmptyInput, InvalidParquet, NonFinite, quoted
from service.tabular.formats import LONGEST, PARQUET, known_format
from service.tabular.table import Column, Table, block_rows, check_column_names

if TYPE_CHECKING:
    from pyarrow import Array, DataType, RecordBatch, Schema as ArrowSchema

_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NUMERIC = _INTEGERS | {"halffloat", "float", "double", "bool", "null"}
_TEXT = frozenset({"string", "large_string", "string_view"})
EXTENSION = b"ARROW:extension:name"
# As long as a field of CSV may be.
MAX_TEXT_LENGTH = 131_072
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
    _check_format(path)
    n_rows = 0
    try:
        with pq.ParquetFile(path, buffer_size=_PIECE_BYTES, pre_buffer=False) as file:
            _check_schema(file.schema_arrow)
            for batch in file.iter_batches(block_rows(len(file.schema_arrow.names))):
                yield _chunk(batch, n_rows)
                n_rows += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # Arrow's own MemoryError is both; what C++ throws is told in words.
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            raise MemoryError from None
        raise InvalidParquet("not a readable Parquet file; is it cut short, damaged or encrypted?") from None
    if not n_rows:
        raise EmptyInput("no data rows")


def _check_format(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(LONGEST)
    found = known_format(head)
    if found is not None and found != PARQUET:
        raise InvalidParquet(f"this is {found}, not plain Parquet")


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
        extension = (field.metadata or {}).get(EXTENSION)
        if extension is not None:
            raise InvalidParquet(
                f"column {quoted(field.name)} has the extension type {quoted(extension.decode(errors='replace'))}; "
                "expected numbers, booleans or strings"
            )
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
        places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        texts = encoded.dictionary.to_pylist()
        too_long = next((place for place, text in enumerate(texts) if len(text) > MAX_TEXT_LENGTH), None)
        if too_long is not None:
            row = first_row + int(np.argmax(places == too_long))
            raise InvalidParquet(
                f"row {row}, column {quoted(name)} has a text of more than {MAX_TEXT_LENGTH} characters"
            )
        return np.asarray(np.array([*texts, None], dtype=np.object_)[places], dtype=np.object_)
    # Not "safe": a whole number beyond 2^53 is rounded, as it is everywhere else.
    numbers: Column = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    infinite = np.isinf(numbers.astype(np.float64, copy=False))
    if infinite.any():
        row = first_row + int(np.argmax(infinite))
        raise NonFinite(f"row {row}, column {quoted(name)} is infinite")
    return numbers
