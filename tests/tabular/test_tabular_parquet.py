"""Tables from Parquet: the types that are taken, and those that are refused by name."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import DuplicateFeature, EmptyInput, InvalidParquet, NonFinite, ServiceError
from service.tabular.parquet_reader import parquet_chunks
from service.tabular.table import Table, concatenated


def read_parquet(path: Path) -> Table:
    return concatenated(parquet_chunks(path))


def written(folder: Path, columns: dict[str, pa.Array]) -> Path:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, None, 3], pa.int8()),
        pa.array([1, None, 3], pa.uint64()),
        pa.array([1, None, 3], pa.float16()),
        pa.array([1, None, 3], pa.float32()),
        pa.array([1, float("nan"), 3], pa.float64()),
    ],
    ids=lambda array: str(array.type),
)
def test_numbers_are_numeric(tmp_path: Path, array: pa.Array) -> None:
    """Whole numbers and floats of every width become doubles, null and NaN missing cells."""
    table = read_parquet(written(tmp_path, {"a": array}))

    np.testing.assert_array_equal(table.column("a"), [1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["x", None, "y"]),
        pa.array(["x", None, "y"], pa.large_string()),
        pa.array(["x", None, "y"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_strings_are_text(tmp_path: Path, array: pa.Array) -> None:
    """Strings and dictionaries of strings become text, null a missing cell."""
    table = read_parquet(written(tmp_path, {"a": array}))

    assert table.column("a").tolist() == ["x", None, "y"]


def test_booleans_and_large_numbers_are_rounded_doubles(tmp_path: Path) -> None:
    """Booleans are 0 and 1; a whole number beyond 2^53 is the nearest double."""
    table = read_parquet(written(tmp_path, {"a": pa.array([True, False]), "b": pa.array([2**53 + 1, -1])}))

    assert [column.tolist() for column in table.columns] == [[1.0, 0.0], [2.0**53, -1.0]]


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (pa.array([[1.0], [2.0]]), "list"),
        (pa.array([{"k": 1}, {"k": 2}]), "struct"),
        (pa.array([b"x", b"y"]), "binary"),
        (pa.array([1, 2], pa.timestamp("s")), "timestamp"),
        (pa.array([1, 2]).cast(pa.decimal128(20, 0)), "decimal"),
        (pa.array([1, 2], pa.date32()), "date32"),
        (pa.array([1, 2], pa.time32("s")), "time32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_types_are_refused_by_name(tmp_path: Path, array: pa.Array, name: str) -> None:
    """A column that is neither number nor text is refused with its name and type."""
    path = written(tmp_path, {"good": pa.array([1, 2]), "bad": array})

    with pytest.raises(InvalidParquet, match=f"column 'bad' has the type '{name}"):
        read_parquet(path)


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"a": pa.array([1.0, float("inf")])}, NonFinite),
        ({"a": pa.array([], pa.float64())}, EmptyInput),
        ({}, InvalidParquet),
    ],
    ids=["infinite", "no rows", "no columns"],
)
def test_content_must_be_finite_rows(tmp_path: Path, columns: dict[str, pa.Array], error: type[ServiceError]) -> None:
    """An infinite number, a file without rows and one without columns are refused."""
    with pytest.raises(error):
        read_parquet(written(tmp_path, columns))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Parquet allows a name twice; a table does not."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)

    with pytest.raises(DuplicateFeature):
        read_parquet(path)


@pytest.mark.parametrize("keep", [0, 3, 40, -1])
def test_damaged_file_is_refused(tmp_path: Path, keep: int) -> None:
    """A file that is cut short anywhere is no Parquet file."""
    path = written(tmp_path, {"a": pa.array([1.0, 2.0])})
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(InvalidParquet, match="not a readable Parquet file"):
        read_parquet(path)


def test_missing_pyarrow_has_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the message names the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(InvalidParquet) as caught:
        read_parquet(tmp_path / "t.parquet")

    assert caught.value.hint == "pip install 'logitd[train]'"
