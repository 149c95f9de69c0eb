"""Tables on disk: the same cells as in memory, in whichever way they are asked for."""

import io
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from service.errors import InvalidInput, OutOfMemory
from service.tabular import spooled_table, table as table_module
from service.tabular.readers import read_chunks
from service.tabular.schema_inference import infer_schema
from service.tabular.spool import Spool, SpooledMatrix
from service.tabular.spooled_table import SpooledTable, gathered, spooled
from service.tabular.table import Table, Tabular, concatenated

# Numbers, text that comes late, text with missing cells, numbers with missing cells.
CSV = b"n,late,t,m\n" + b"".join(
    b"%d.1,%s,%s,%s\n" % (i, b"x" if i > 7 else b"", b"" if i % 5 == 0 else b"abc"[i % 3 :], b"" if i % 4 else b"2")
    for i in range(23)
)


@pytest.fixture(autouse=True)
def few_rows_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of five rows of four columns."""
    monkeypatch.setattr(table_module, "BLOCK_CELLS", 20)


def chunks_of_csv() -> list[Table]:
    return list(read_chunks("-", stdin=io.BytesIO(CSV)))


def cells(table: Tabular) -> list[tuple[str, list[object]]]:
    """What a table holds, NaN by its bits."""
    return [(name, [repr(cell) for cell in column.tolist()]) for name, column in table]


def test_chunks_are_the_table() -> None:
    """A file in chunks of a few rows is the same table in memory and on disk, a column that turns out as text included."""
    chunks = chunks_of_csv()

    whole, on_disk = concatenated(read_chunks("-", stdin=io.BytesIO(CSV))), spooled(chunks)

    assert [chunk.n_rows for chunk in chunks] == [5, 5, 5, 5, 3]
    assert cells(on_disk) == cells(whole)
    assert on_disk.n_rows == whole.n_rows == 23
    assert cells(concatenated(on_disk.blocks())) == cells(whole)
    assert infer_schema(on_disk, missing="impute") == infer_schema(whole, missing="impute")


@given(first=st.lists(st.booleans(), min_size=23, max_size=23), second=st.randoms(use_true_random=False))
def test_rows_of_rows_are_those_of_memory(first: list[bool], second: random.Random) -> None:
    """Any rows, and any of those, less a column, are what the table in memory gives, whole and block by block."""
    index = np.flatnonzero(first)
    again = np.flatnonzero([second.random() < 0.5 for _ in index])
    whole = concatenated(chunks_of_csv()).without("n").rows(index).rows(again)

    part = spooled(chunks_of_csv()).rows(index).without("n").rows(again)

    assert part.n_rows == len(again)
    assert cells(part) == cells(whole)
    assert sum(block.n_rows for block in part.blocks(7)) == len(again)
    assert not len(again) or cells(concatenated(part.blocks(7))) == cells(whole)


def test_equal_texts_are_one_string() -> None:
    """A text column on disk comes back with one string for all equal cells, and None for a missing one."""
    texts = spooled(chunks_of_csv()).column("t").tolist()

    assert len({id(text) for text in texts}) == len(set(texts)) == 4


def test_memory_decides_where_rows_are() -> None:
    """Rows whose cells take no more than the memory given stay there; one byte less, and they are on disk."""
    n_bytes = 23 * 4 * 8

    kept, moved = (gathered(chunks_of_csv(), memory_bytes=memory) for memory in (n_bytes, n_bytes - 1))

    assert isinstance(kept, Table)
    assert isinstance(moved, SpooledTable)
    assert cells(kept) == cells(moved)
    with pytest.raises(KeyError):
        moved.column("none")


def test_parquet_in_row_groups_is_the_table(tmp_path: Path) -> None:
    """Row groups of any size, dictionaries of their own and a declared text column come out as from memory."""
    columns = {"a": [1.5, None, 2.5] * 9, "b": pa.array(["x", "y", None] * 9).dictionary_encode(), "c": [1, 2, 3] * 9}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=7)
    source = str(tmp_path / "t.parquet")

    on_disk = spooled(read_chunks(source, stdin=io.BytesIO(), categorical=["c"]))

    assert cells(on_disk) == cells(concatenated(read_chunks(source, stdin=io.BytesIO(), categorical=["c"])))
    assert on_disk.column("b").tolist() == ["x", "y", None] * 9
    assert on_disk.column("c").tolist() == ["1", "2", "3"] * 9


def test_identifiers_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text column with more texts than a column of categories could have is told by name."""
    monkeypatch.setattr(spooled_table, "MAX_TEXTS", 3)

    with pytest.raises(InvalidInput, match=r"^column 't' has more than 3 different texts"):
        spooled(chunks_of_csv())


def test_directory_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a usable directory for temporary files the message names the variable that sets it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(OutOfMemory, match=r"not into a temporary file in .*: no such file") as error:
        Spool()

    assert error.value.hint is not None
    assert "TMPDIR" in error.value.hint


def test_matrix_on_disk_is_read_by_rows() -> None:
    """The rows that were appended come back by slices, empty ones and ends beyond the last row included."""
    matrix = np.arange(21.0).reshape(7, 3)
    on_disk = SpooledMatrix(3)
    on_disk.append(np.asfortranarray(matrix[:4]))
    on_disk.append(matrix[4:])

    for rows in (slice(0, 7), slice(2, 5), slice(3, 3), slice(5, 99), slice(None)):
        np.testing.assert_array_equal(on_disk.block(rows), matrix[rows])
    assert on_disk.shape == (7, 3)
