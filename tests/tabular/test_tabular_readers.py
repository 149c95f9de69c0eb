"""What a user may name as a training table: a file, a pattern, or standard input."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import InvalidCsv, InvalidParquet, ServiceError, UnknownFeature, UnreadableFile
from service.tabular.readers import read_chunks
from service.tabular.table import Table, concatenated


def read(source: Path | str, *, missing_values: Sequence[str] = (), categorical: Sequence[str] = ()) -> Table:
    stdin = io.BytesIO(b"a,b\n1,x\n")
    return concatenated(read_chunks(str(source), stdin=stdin, missing_values=missing_values, categorical=categorical))


def test_csv_comes_from_a_file_or_standard_input(tmp_path: Path) -> None:
    """A path is read as its suffix says, - is CSV on standard input."""
    (tmp_path / "t.CSV").write_bytes(b"a,b\n1,x\n")

    from_file = read(tmp_path / "t.CSV")
    from_stdin = read("-")

    assert [column.tolist() for column in from_file.columns] == [[1.0], ["x"]]
    assert [column.tolist() for column in from_stdin.columns] == [[1.0], ["x"]]


def test_pattern_of_csv_files_is_one_table(tmp_path: Path) -> None:
    """The files of a pattern follow each other by name, and share their kinds and options."""
    (tmp_path / "2.csv").write_bytes(b"a,b\n,NA\n")
    (tmp_path / "1.csv").write_bytes(b"a,b\n1,x\n2,\n")
    (tmp_path / "3.csv").write_bytes(b"a,b\n")

    table = read(tmp_path / "[123].csv", missing_values=["NA"])

    np.testing.assert_array_equal(table.column("a"), [1.0, 2.0, np.nan])
    assert table.column("b").tolist() == ["x", None, None]


def test_mistake_names_the_file_and_its_line(tmp_path: Path) -> None:
    """The file's name stands in front, also for the second file of a pattern."""
    (tmp_path / "1.csv").write_bytes(b"a,b\n1,x\n")
    (tmp_path / "2.csv").write_bytes(b"a,b\n\n1,x\n1\n")

    with pytest.raises(InvalidCsv, match=r"^2\.csv:4: expected 2 cells"):
        read(tmp_path / "?.csv")
    (tmp_path / "2.csv").write_bytes(b"a,B\n1,x\n")
    with pytest.raises(InvalidCsv, match=r"^2\.csv:1: the header row is not the same"):
        read(tmp_path / "?.csv")
    (tmp_path / "2.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InvalidCsv, match=r"^2\.csv:2: column 'b' is a number among text"):
        read(tmp_path / "?.csv")
    with pytest.raises(InvalidCsv, match=r"^stdin:2: "):
        list(read_chunks("-", stdin=io.BytesIO(b"a,b\n1\n")))
    with pytest.raises(ServiceError, match=r"^stdin: no data rows"):
        list(read_chunks("-", stdin=io.BytesIO(b"")))


def test_parquet_files_are_one_table(tmp_path: Path) -> None:
    """Parquet files of a pattern are joined; a declared column of numbers becomes text."""
    pq.write_table(pa.table({"a": [1, None], "b": ["x", None]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": [0.5], "b": ["y"]}), tmp_path / "2.parquet")

    table = read(tmp_path / "*.parquet")
    text = read(tmp_path / "*.parquet", categorical=["a", "b"])

    np.testing.assert_array_equal(table.column("a"), [1.0, np.nan, 0.5])
    assert table.column("b").tolist() == text.column("b").tolist() == ["x", None, "y"]
    assert text.column("a").tolist() == ["1", None, "0.5"]
    with pytest.raises(UnknownFeature):
        read(tmp_path / "*.parquet", categorical=["c"])


def test_parquet_files_must_agree(tmp_path: Path) -> None:
    """Other columns, another kind and a damaged file are refused with the file's name."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [1]}), tmp_path / "2.parquet")

    with pytest.raises(InvalidParquet, match=r"^2\.parquet: the columns are not the same"):
        read(tmp_path / "*.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(InvalidParquet, match=r"^2\.parquet: column 'a' is of another kind"):
        read(tmp_path / "*.parquet")
    (tmp_path / "2.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidParquet, match=r"^2\.parquet: not a readable"):
        read(tmp_path / "*.parquet")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing files, folders, pipes, other formats and patterns without a match or of two formats are refused."""
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "t.txt").write_bytes(b"a\n1\n")
    (tmp_path / "both1.csv").write_bytes(b"a\n1\n")
    (tmp_path / "both2.parquet").write_bytes(b"")
    reasons = {
        "none.csv": "no such file",
        "none*.csv": "no such file",
        "folder.csv": "it is a directory",
        "pipe.csv": "it is not a regular file",
        "x" * 300 + ".csv": "file name too long",
        "t.txt": "expected a name that ends in .csv or .parquet",
        "both*": "expected one format",
    }

    for name, reason in reasons.items():
        with pytest.raises(UnreadableFile, match=f"^cannot read .*{reason}"):
            read(tmp_path / name)
