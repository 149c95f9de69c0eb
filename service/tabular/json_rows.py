"""Tables from parsed JSON: rows as arrays or as records, in each layout that a body may have."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors import (
    EmptyInput,
    FeatureCount,
    InvalidInput,
    RaggedRows,
    UnknownField,
    WrongShape,
    WrongType,
    quoted,
)
from service.tabular.json_cells import Cells, columns_of_kinds, inferred_columns
from service.tabular.limits import Limits
from service.tabular.schema import NumericFeature, Schema, check_same_names, nearest
from service.tabular.table import Places, Table, check_column_names

_INSTANCES, _SPLIT = frozenset({"instances"}), frozenset({"columns", "data"})


def table_from_json(value: object, schema: Schema, limits: Limits) -> Table:
    """The rows of a prediction request, kinds by ``schema``.

    value: ``{"instances": rows}``, ``{"columns": names, "data": rows}``, a bare list of rows, or a bare record.  Rows
    are arrays in the schema's order (or that of ``columns``), or records by name.  ``null`` and NaN are missing cells.

    Raises WrongType, WrongShape, UnknownField, EmptyInput, RaggedRows, FeatureCount, MissingFeature, UnknownFeature,
    DuplicateFeature, NonFinite or one of the limits' errors, with the JSON pointer of the first place.
    """
    if isinstance(value, list):
        return table_from_rows(value, schema, limits, pointer="")
    if not isinstance(value, dict):
        raise WrongType("expected an object or an array", pointer="")
    layout = _layout_keys(value, schema)
    if not layout:
        return _table(_bare_record(value, schema), schema)
    if layout <= _INSTANCES:
        _check_keys(value, _INSTANCES)
        return table_from_rows(value["instances"], schema, limits)
    _check_keys(value, _SPLIT)
    return table_from_rows(value["data"], schema, limits, names=_names(value["columns"], schema), pointer="/data")


def table_from_rows(
    rows: object, schema: Schema, limits: Limits, *, names: Sequence[str] | None = None, pointer: str = "/instances"
) -> Table:
    """Rows that are arrays or records as a table, kinds by ``schema``.

    names: the order of the cells of an array, the schema's unless given; they must be the schema's names.
    pointer: the JSON pointer of ``rows``, for the errors: see ``table_from_json``.
    """
    return _table(_cells(rows, names or schema.names, limits, pointer), schema)


def infer_table(rows: object, names: Sequence[str] | None, limits: Limits, *, pointer: str = "/instances") -> Table:
    """The rows of a training request: numbers make a numeric column, strings a text column.

    names: of the columns; by default the keys of the first record, or x0, x1, … for arrays.
    Raises what ``table_from_json`` raises, and InvalidInput for a name that cannot be one.
    """
    if names is not None:
        check_column_names(names)
    cells = _cells(rows, names, limits, pointer)
    return Table(cells.names, inferred_columns(cells), len(cells.rows), cells.places)


def _table(cells: Cells, schema: Schema) -> Table:
    numeric = {feature.name: isinstance(feature, NumericFeature) for feature in schema.features}
    columns = columns_of_kinds(cells, [numeric[name] for name in cells.names])
    return Table(cells.names, columns, len(cells.rows), cells.places)


def _bare_record(body: dict[str, object], schema: Schema) -> Cells:
    for key, cell in body.items():
        if isinstance(cell, list) and key not in schema.names:
            raise UnknownField(
                f"the body has the key {quoted(key)}; expected 'instances', or 'columns' and 'data'",
                pointer="",
                hint=nearest(key, sorted(_INSTANCES | _SPLIT)),
            )
    schema.check_names(body)
    row = [body[name] for name in schema.names]
    return Cells(Places(schema.names, pointer="", by_name=True, is_bare=True), [row])


def _layout_keys(body: dict[str, object], schema: Schema) -> frozenset[str]:
    """The keys that make ``body`` a layout and not a record: a column may be called "data", but is never a list."""
    known = (_INSTANCES | _SPLIT) & body.keys()
    return frozenset(key for key in known if isinstance(body[key], list) or key not in schema.names)


def _check_keys(body: dict[str, object], expected: frozenset[str]) -> None:
    for key in body:
        if key not in expected:
            wanted = " and ".join(quoted(name) for name in sorted(expected))
            raise UnknownField(
                f"the body has the key {quoted(key)}; expected {wanted} alone",
                pointer="",
                hint=nearest(key, sorted(expected)),
            )
    for key in sorted(expected):
        if key not in body:
            raise InvalidInput(f"the body lacks the key {quoted(key)}", pointer="")


def _names(columns: object, schema: Schema) -> tuple[str, ...]:
    if not isinstance(columns, list):
        raise WrongType("expected a list of column names", pointer="/columns")
    for index, name in enumerate(columns):
        if not isinstance(name, str):
            raise WrongType("a column name must be a string", pointer=f"/columns/{index}")
    if len(set(columns)) != len(columns) or len(columns) != len(schema.names):
        check_column_names(columns, pointer="/columns")
    schema.check_names(columns, pointer="/columns")
    return tuple(columns)


def _cells(rows: object, names: Sequence[str] | None, limits: Limits, pointer: str) -> Cells:
    """The rows as rectangular cells, once their shape is known to be right."""
    if not isinstance(rows, list):
        raise WrongShape("expected a list of rows", pointer=pointer)
    if not rows:
        raise EmptyInput("there are no rows; expected at least one", pointer=pointer)
    _check_row_types(rows, pointer)
    limits.check(len(rows), len(rows[0]))
    if isinstance(rows[0], dict):
        return _record_cells(rows, names, pointer)
    return _array_cells(rows, names, pointer)


def _check_row_types(rows: list[object], pointer: str) -> None:
    types = set(map(type, rows))
    if types in ({list}, {dict}):
        return
    first = type(rows[0])
    if not types & {list, dict}:
        raise WrongShape("expected a list of rows; wrap the row: [[1, 2, 3]]", pointer=f"{pointer}/0")
    row = next(row for row, cells in enumerate(rows) if type(cells) is not first or first not in {list, dict})
    if type(rows[row]) in {list, dict}:
        raise WrongType(
            f"row {row} is another kind of row than the first; use arrays or records", pointer=f"{pointer}/{row}"
        )
    raise WrongShape(f"row {row} is neither an array nor a record", pointer=f"{pointer}/{row}")


def _array_cells(rows: list[list[object]], names: Sequence[str] | None, pointer: str) -> Cells:
    width = len(rows[0])
    _check_flat(rows, pointer)
    if len(set(map(len, rows))) != 1:
        row = next(row for row, cells in enumerate(rows) if len(cells) != width)
        raise RaggedRows(
            f"row {row} has {len(rows[row])} cells, the rows before it {width}", pointer=f"{pointer}/{row}"
        )
    names = tuple(f"x{index}" for index in range(width)) if names is None else tuple(names)
    if width != len(names) or not width:
        raise FeatureCount(f"expected {len(names) or 'at least 1'}, got {width} cells in a row", pointer=f"{pointer}/0")
    return Cells(Places(names, pointer), rows)


def _check_flat(rows: list[list[object]], pointer: str) -> None:
    """Raise WrongShape for rows of rows; a list among other cells is a wrong cell, not a wrong shape."""
    if rows[0] and set(map(type, rows[0])) == {list}:
        raise WrongShape(
            "expected rows of cells, got rows of rows; take one pair of brackets away", pointer=f"{pointer}/0/0"
        )


def _record_cells(records: list[dict[str, object]], names: Sequence[str] | None, pointer: str) -> Cells:
    if names is None:
        names = tuple(records[0])
        check_column_names(names)
    if not names:
        raise FeatureCount("expected at least 1, got 0 cells in a row", pointer=f"{pointer}/0")
    expected = set(names)
    for row, record in enumerate(records):
        if record.keys() != expected:
            check_same_names(record, names, pointer=f"{pointer}/{row}")
    places = Places(tuple(names), pointer, by_name=True)
    return Cells(places, [[record[name] for name in names] for record in records])
