"""Parquet files, made by pyarrow and broken by hand: what each gets, by its code in the examination of input."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Logitd

from service.cli.mistakes import exit_code
from service.errors import InvalidParquet, OutOfMemory, ServiceError
from service.serving.parquet_process import confined_parquet_chunks
from service.tabular.parquet_reader import parquet_chunks

N = 8
A = pa.array([float(row % 5) for row in range(N)])
Y = pa.array([0, 1, 0, 0, 1, 1, 0, 1])
UNREADABLE = "not a readable Parquet file"
Columns: TypeAlias = dict[str, pa.Array]
Write: TypeAlias = Callable[[Path], object]


def table(columns: Columns) -> Write:
    return lambda path: pq.write_table(pa.table(columns), path)


def named(*names: str) -> Write:
    return lambda path: pq.write_table(pa.Table.from_arrays([A, A, Y], names=list(names)), path)


def column(array: pa.Array) -> Write:
    """A file with this column beside good ones."""
    return table({"a": A, "bad": array, "y": Y})


def broken(change: Callable[[bytes], bytes]) -> Write:
    """A good file, changed."""

    def write(path: Path) -> None:
        table({"a": A, "y": Y})(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def marked(array: pa.Array, extension: bytes, content: bytes) -> Write:
    """A column of an extension type that the reader has not registered, as only its metadata say."""
    metadata = {"ARROW:extension:name": extension, "ARROW:extension:metadata": content}
    fields = [pa.field("a", pa.float64()), pa.field("bad", array.type, metadata=metadata), pa.field("y", pa.int64())]
    return lambda path: pq.write_table(pa.Table.from_arrays([A, array, Y], schema=pa.schema(fields)), path)


def footer_of(n_bytes: int) -> Callable[[bytes], bytes]:
    return lambda file: file[:-8] + struct.pack("<I", n_bytes) + b"PAR1"


def of_type(name: str) -> str:
    return f"column 'bad' has the type {name}"


def codec_replaced(file: bytes) -> bytes:
    """LZO (3) in place of gzip (2), in each column's field 4 of the footer, where the path of the column ends."""
    for name in (b"\x01a", b"\x01y"):
        assert file.count(name + b"\x15\x04") == 1
        file = file.replace(name + b"\x15\x04", name + b"\x15\x06")
    return file


def of_unknown_codec(path: Path) -> None:
    pq.write_table(pa.table({"a": A, "y": Y}), path, compression="gzip")
    path.write_bytes(codec_replaced(path.read_bytes()))


# Row and kind, how the file is written, and how the message goes on after "error: t.parquet: "; the exit code is 3.
BAD_FILES: dict[str, tuple[Write, str]] = {
    "Q1 cut in half": (broken(lambda file: file[: len(file) // 2]), UNREADABLE),
    "Q1 cut by a byte": (broken(lambda file: file[:-1]), UNREADABLE),
    "Q1 bad magic": (broken(lambda file: file[:-4] + b"XXXX"), UNREADABLE),
    "Q1 footer beyond the file": (broken(footer_of(10**6)), UNREADABLE),
    "Q1 footer of 4 GiB": (broken(footer_of(2**32 - 1)), UNREADABLE),
    "Q1 footer of nothing": (broken(footer_of(0)), UNREADABLE),
    "Q1 empty": (broken(lambda _: b""), UNREADABLE),
    "Q1 magic alone": (broken(lambda _: b"PAR1"), UNREADABLE),
    "Q1 zip": (broken(lambda file: b"PK\x03\x04" + file), "this is a zip archive or a spreadsheet, not plain Parquet"),
    "Q1 gzip": (broken(lambda file: b"\x1f\x8b" + file), "this is gzip, not plain Parquet"),
    "Q1 pages changed": (broken(lambda file: file[:4] + bytes(b ^ 85 for b in file[4:60]) + file[60:]), UNREADABLE),
    "Q3 list": (column(pa.array([[1.0]] * N)), of_type("'list<")),
    "Q3 struct": (column(pa.array([{"k": 1}] * N)), of_type("'struct<")),
    "Q3 map": (column(pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64()))), of_type('"map<')),
    "Q3 decimal": (column(pa.array([1] * N).cast(pa.decimal128(20, 0))), of_type("'decimal128")),
    "Q3 timestamp": (column(pa.array([1] * N, pa.timestamp("us"))), of_type("'timestamp[us]'")),
    "Q3 date": (column(pa.array([1] * N, pa.date32())), of_type("'date32[day]'")),
    "Q3 time": (column(pa.array([1] * N, pa.time32("s"))), of_type("'time32")),
    "Q3 duration": (column(pa.array([1] * N, pa.duration("s"))), of_type("'duration[s]'")),
    "Q3 binary": (column(pa.array([b"x"] * N)), of_type("'binary'")),
    "Q3 fixed binary": (column(pa.array([b"xx"] * N, pa.binary(2))), of_type("'fixed_size_binary[2]'")),
    "Q3 int96": (
        lambda path: pq.write_table(
            pa.table({"bad": pa.array([1] * N, pa.timestamp("ns")), "y": Y}), path, use_deprecated_int96_timestamps=True
        ),
        of_type("'timestamp[ns]'"),
    ),
    "Q3 extension": (marked(pa.array([1] * N), b"my.own", b""), "column 'bad' has the extension type 'my.own'"),
    "Q3 pickled extension": (
        marked(pa.array([1] * N), b"arrow.py_extension_type", b"cos\nsystem\n(S'touch pwned'\ntR."),
        "column 'bad' has the extension type 'arrow.py_extension_type'",
    ),
    "Q4 infinite": (column(pa.array([*[1.0] * (N - 1), float("inf")])), "row 7, column 'bad' is infinite"),
    "Q2 long text": (
        column(pa.array([*["x"] * (N - 1), "x" * 131_073])),
        "row 7, column 'bad' has a text of more than 131072 characters",
    ),
    "Q5 no rows": (table({"a": A.slice(0, 0), "y": Y.slice(0, 0)}), "no data rows"),
    "Q5 no row groups": (
        lambda path: pq.ParquetWriter(path, pa.table({"a": A, "y": Y}).schema).close(),
        "no data rows",
    ),
    "Q5 no columns": (table({}), "the file has no columns"),
    "Q5 duplicate name": (named("a", "a", "y"), "two columns are named 'a'"),
    "Q5 empty name": (named("a", "", "y"), "column 1 has a name that is empty"),
    "Q5 control character": (named("a", "\x1b[31m", "y"), "column 1 has a name that is empty"),
    "Q6 encrypted": (broken(lambda file: b"PARE" + file[4:-4] + b"PARE"), "this is encrypted Parquet"),
    "Q6 unknown codec": (of_unknown_codec, UNREADABLE),
}


# The same of what only a training finds out.
BAD_TABLES: dict[str, tuple[Write, str]] = {
    "Q4 null": (column(pa.array([1.0, 2.0, None, *[3.0] * (N - 3)])), "row 2, column 'bad' is missing"),
    "Q4 NaN": (column(pa.array([1.0, float("nan"), *[3.0] * (N - 2)])), "row 1, column 'bad' is missing"),
    "Q4 labels beyond 2^53": (
        table({"a": A, "y": pa.array([2**53 + 1 + row % 2 for row in range(N)])}),
        "a target is not a whole number",
    ),
    "Q4 label is null": (
        table({"a": A, "y": pa.array([None, 0, 1, 0, 1, 0, 1, 0])}),
        "row 0 has no target in column 'y'",
    ),
}
# Of each row one kind goes all the way: a process for each of the others would take a second and show nothing new.
ALL_THE_WAY = ("Q1 cut in half", "Q3 pickled extension", "Q2 long text", "Q5 no rows", "Q6 unknown codec")


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_bad_data(tmp_path: Path, kind: str) -> None:
    """The reader refuses the file with an error of exit code 3, which names row and column where there are any."""
    write, message = BAD_FILES[kind]
    write(tmp_path / "t.parquet")

    with pytest.raises(ServiceError) as caught:
        list(parquet_chunks(tmp_path / "t.parquet"))

    assert exit_code(type(caught.value)) == 3
    assert caught.value.detail.startswith(message)


@pytest.mark.parametrize("kind", [*ALL_THE_WAY, *BAD_TABLES])
def test_bad_file_is_one_line(folder: Path, here: Logitd, kind: str) -> None:
    """A file that cannot be trained on is exit code 3 and one line beginning with its name; nothing is stored or run."""
    write, message = {**BAD_FILES, **BAD_TABLES}[kind]
    write(folder / "t.parquet")

    done = here("train", "t.parquet", "--target", "y", "--model", "m")

    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert done.err.startswith(f"error: t.parquet: {message}")
    assert [path.name for path in folder.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(
    "columns",
    [
        # Q3, decided otherwise: a dictionary of strings is how a categorical column is written.
        pytest.param({"t": pa.array(["u", "v"] * (N // 2)).dictionary_encode()}, id="Q3 dictionary of strings"),
        pytest.param({"t": pa.array([3, 4] * (N // 2)).dictionary_encode()}, id="Q3 dictionary of numbers"),
        # Q4: whole numbers that are features are rounded to the nearest double, as in CSV and JSON; labels are refused.
        pytest.param({"t": pa.array([2**53 + 1 + 2 * row for row in range(N)])}, id="Q4 int64 beyond 2^53"),
        pytest.param({"t": pa.array([2**64 - 1 - row * 2**60 for row in range(N)], pa.uint64())}, id="Q4 uint64"),
        pytest.param({"t": pa.array(np.arange(N, dtype=np.float16))}, id="Q4 float16"),
        # Q5, decided otherwise: names are exact, here as in requests; upper and lower case are two columns.
        pytest.param({"t": A, "T": pa.array(range(N))}, id="Q5 names that differ in case"),
    ],
)
def test_usual_files_are_read(folder: Path, here: Logitd, columns: Columns) -> None:
    """What programs write is no mistake, and predicts again what it was trained on."""
    table({**columns, "y": Y})(folder / "t.parquet")

    done = here("train", "t.parquet", "--target", "y", "--model", "m", "--C", "1", "--json")
    predicted = here("predict", "t.parquet", "--model", "m")

    assert (done.code, done.err, predicted.code) == (0, "", 0)
    assert predicted.out.count("\n") == N + 1


def forged(path: Path) -> None:
    """A few kilobytes of zeros in one page, whose header says that they are two gigabytes."""
    n_rows = 17_000_000
    pages = {
        "data_page_size": 1 << 30,
        "max_rows_per_page": n_rows,
        "write_batch_size": n_rows,
        "row_group_size": n_rows,
    }
    zeros = pa.table({"y": np.zeros(n_rows)})
    pq.write_table(zeros, path, compression="zstd", use_dictionary=False, write_statistics=False, **pages)
    file = bytearray(path.read_bytes())
    # Field 2 of the page header, its size: a number that takes five bytes, as the forged one does.
    assert bytes(file[4:7]) == b"\x15\x00\x15"
    assert [byte >> 7 for byte in file[7:12]] == [1, 1, 1, 1, 0]
    file[7:12] = b"\xfe\xff\xff\xff\x0f"
    path.write_bytes(file)


def test_a_forged_size_is_no_accident(folder: Path, here: Logitd) -> None:
    """Q2: a file that claims gigabytes is exit code 6 and one line; the command outlives the process that read it."""
    forged(folder / "t.parquet")

    done = here("train", "t.parquet", "--target", "y", "--model", "m")

    assert (folder / "t.parquet").stat().st_size < 10_000
    assert (done.code, done.out) == (6, "")
    assert done.err == (
        "error: t.parquet: reading this file takes more memory than it may have; is it what it should be?\n"
    )


def test_reading_has_its_own_memory(tmp_path: Path) -> None:
    """Q2: a cell of 200 MB, packed into kilobytes, many columns and many row groups take no more than they may have."""
    text = pa.array(["x" * 200_000_000, "y"])
    pq.write_table(pa.table({"t": text}), tmp_path / "cell.parquet", compression="zstd", use_dictionary=False)
    names = [f"c{place}" for place in range(30_000)]
    wide = pa.Table.from_arrays([pa.array([1.0, 2.0])] * len(names), names=names)
    pq.write_table(wide, tmp_path / "columns.parquet", compression="none", write_statistics=False, use_dictionary=False)

    for name in ("cell.parquet", "columns.parquet"):
        with pytest.raises(OutOfMemory, match="more memory than it may have"):
            list(confined_parquet_chunks(tmp_path / name, 160 << 20))


def test_many_row_groups_are_read(tmp_path: Path) -> None:
    """Q2: row groups of one row each are slow, but no mistake."""
    pq.write_table(pa.table({"a": np.arange(3000.0)}), tmp_path / "t.parquet", row_group_size=1)

    chunks = list(confined_parquet_chunks(tmp_path / "t.parquet"))

    assert np.concatenate([chunk.column("a") for chunk in chunks]).tolist() == list(range(3000))


def test_a_reader_that_crashes_is_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Q1: whatever ends the process that reads, the one that asked goes on and says so; its last words are not shown."""
    table({"a": A})(tmp_path / "t.parquet")
    (tmp_path / "pyarrow").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ends = {
        "SIGSEGV": (InvalidParquet, "is it damaged"),
        "SIGKILL": (OutOfMemory, "memory"),
        "SIGABRT": (OutOfMemory, "memory"),
    }

    for number, (error, message) in ends.items():
        (tmp_path / "pyarrow/__init__.py").write_text(
            f"import os, signal, sys; print('alas', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.{number})"
        )
        with pytest.raises(error, match=message):
            list(confined_parquet_chunks(tmp_path / "t.parquet"))

    assert capfd.readouterr().err == ""


def test_a_defect_of_the_reader_is_no_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in Python in the process that reads is told with its traceback, as a defect and not as bad data."""
    table({"a": A})(tmp_path / "t.parquet")
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow/__init__.py").write_text("1 / 0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(confined_parquet_chunks(tmp_path / "t.parquet"))


def test_tables_are_the_same_from_either_process(tmp_path: Path) -> None:
    """Numbers bit for bit, texts, missing cells and odd names come from the child as the reader makes them."""
    columns = {
        "π \"x\" 'é'": pa.array([0.1, float("nan"), -0.0, 5e-324]),
        "t": pa.array(["é\n", None, "", "é\n"]),
        "none": pa.nulls(4),
        "flag": pa.array([True, False, None, True]),
    }
    table(columns)(tmp_path / "t.parquet")

    (here,), (there,) = (list(read(tmp_path / "t.parquet")) for read in (parquet_chunks, confined_parquet_chunks))

    assert here.names == there.names == tuple(columns)
    for (_, expected), (_, column) in zip(here, there, strict=True):
        assert (column.dtype, column.tolist() if column.dtype == object else column.tobytes()) == (
            expected.dtype,
            expected.tolist() if expected.dtype == object else expected.tobytes(),
        )


def test_a_reader_that_is_not_heard_to_the_end_is_ended(tmp_path: Path) -> None:
    """Who stops reading, as after a mistake in the first rows, waits for nothing and leaves no process."""
    table({"a": pa.array(np.zeros(2_000_000))})(tmp_path / "t.parquet")

    with closing(confined_parquet_chunks(tmp_path / "t.parquet")) as chunks:
        first = next(chunks)
        during = children()

    assert first.n_rows < 2_000_000
    assert len(during) == 1
    assert children() == set()


def children() -> set[str]:
    """The processes that this one has started and not yet waited for."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
