"""Tables from Parquet: the types that are taken; what is refused is in tests/cli/test_cli_parquet_input.py."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import InvalidParquet
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


def test_missing_pyarrow_has_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the message names the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(InvalidParquet) as caught:
        read_parquet(tmp_path / "t.parquet")

    assert caught.value.hint == "pip install 'logitd[train]'"
