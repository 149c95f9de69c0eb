"""Mistakes on the command line: one line on standard error that says what and where, and the documented exit code."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from command_line import Logitd, logitd

HEAD = b"a,b,y\n1,2,0\n"


def with_cell(cell: str) -> bytes:
    return HEAD + f"3,{cell},1\n5,6,0\n".encode()


# Name, contents, and how the message goes on after "error: NAME".  C1 to C8 and C10 of the examination of CSV files.
BAD_FILES = {
    "empty": (b"", ": no data rows"),
    "header only": (b"a,b,y\n", ": no data rows"),
    "blank lines": (b"\n\n\n", ": no data rows"),
    "no header": (b"1,2,0\n3,4,1\n", ":1: the header row is missing"),
    "duplicate header": (b"a,a,y\n1,2,0\n", ":1: the header row names 'a' twice"),
    "empty header name": (b"a,,y\n1,2,0\n", ":1: column 2 has no name"),
    "UTF-16": ("a,b,y\n1,2,0\n".encode("utf-16"), ":1: the text is UTF-16"),
    "not UTF-8": (HEAD + b"1,\xff,0\n", ":3: byte 3 of the line is not UTF-8"),
    "NUL": (HEAD + b"1,\0,0\n", ":3: there is a NUL byte"),
    "lone CR": (b"a,b,y\r1,2,0\r", ":1: there is a carriage return"),
    "short row": (HEAD + b"3,4\n", ":3: expected 3 cells, got 2"),
    "long row": (HEAD + b"3,4,5,6\n", ":3: expected 3 cells, got 4"),
    "unclosed quote": (HEAD + b'3,"4,5\n6,7,8\n', ":3: a quote is opened here and never closed"),
    "semicolons": (b"a;b;y\n1;2;0\n", ":1: one column found"),
    "tabs": (b"a\tb\ty\n1\t2\t0\n", ":1: one column found"),
    "gzip": (gzip.compress(HEAD, mtime=0), ":1: "),
    "decimal comma": (with_cell('"1,5"'), ":3: column 'b' is not a number"),
    "group space": (with_cell("1 000"), ":3: column 'b' is not a number"),
    "underscore": (with_cell("1_000"), ":3: column 'b' is not a number"),
    "hexadecimal": (with_cell("0x1A"), ":3: column 'b' is not a number"),
    "overflow": (with_cell("1e400"), ":3: column 'b' is infinite or too large"),
    "infinity": (with_cell("-inf"), ":3: column 'b' is infinite or too large"),
    "nan": (with_cell("nan"), ":3: column 'b' is one of the usual spellings of a missing value"),
    "NA": (with_cell("NA"), ":3: column 'b' is one of the usual spellings of a missing value"),
    "boolean": (with_cell("TRUE"), ":3: column 'b' is not a number"),
    "formula": (with_cell("=1+1"), ":3: column 'b' is not a number"),
    "spreadsheet error": (with_cell("#REF!"), ":3: column 'b' is not a number"),
    "missing cell": (b"\n" + with_cell(""), ":4: row 1, column 'b' is missing"),
    "missing in a late row": (
        b"a,b,y\n" + b"x,2,1\n" * 30 + b'"x\ny",4,0\nz,,0\n',
        ":34: row 31, column 'b' is missing",
    ),
    "no target column": (b"a,b\n1,2\n", ": there is no column 'y'"),
    "only the target": (b"y\n0\n1\n0\n", ": the target is the only column"),
    "constant target": (b"a,y\n1,0\n2,0\n3,0\n", ": the target holds 1 class"),
    "target of unique values": (b"a,y\n1,0\n2,1\n3,2\n", ": the target holds 3 classes in 3 rows"),
    "target of fractions": (b"a,y\n1,0\n2,1.5\n3,0\n", ":3: a target is not a whole number"),
    "missing target": (b"a,y\n1,0\n2,\n3,0\n", ":3: row 1 has no target in column 'y'"),
    "mixed target": (b"a,y\n1,0\n2,no\n3,0\n", ":3: column 'y' is not a number, and others are"),
    "one row": (b"a,y\n1,0\n", ": one row cannot be split"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_one_line_with_file_and_line(folder: Path, here: Logitd, kind: str) -> None:
    """A file that cannot be trained on is exit code 3, one line beginning with its name, and nothing stored."""
    content, message = BAD_FILES[kind]
    (folder / "my data.csv").write_bytes(content)

    done = here("train", "my data.csv", "--target", "y", "--model", "m")

    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith(f"error: my data.csv{message}")
    assert done.err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["my data.csv"]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + HEAD, HEAD.replace(b"\n", b"\r\n")], ids=["mark", "CRLF"])
def test_usual_spreadsheet_files_are_read(folder: Path, here: Logitd, content: bytes) -> None:
    """A byte order mark and CRLF are no mistakes."""
    (folder / "t.csv").write_bytes(content + b"3,4,1\n5,6,0\n")

    done = here("train", "t.csv", "--target", "y", "--model", "m")

    assert (done.code, done.err) == (0, "")


def test_what_is_no_file_is_refused_at_once(folder: Path, here: Logitd) -> None:
    """A missing file, a directory, a pipe without a writer and an endless device are exit code 3: cannot read."""
    (folder / "d.csv").mkdir()
    os.mkfifo(folder / "p.csv")

    for data in ("none.csv", "none*.csv", "d.csv", "p.csv", "/dev/zero"):
        done = here("train", data, "--target", "y", "--model", "m")

        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("error: cannot read ")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("trian iris --model m", 2, "No such command 'trian'. Did you mean 'train'?"),
        ("models lst", 2, "No such command 'lst'. Did you mean 'list'?"),
        ("train iris --modle m", 2, "No such option: --modle (Possible options: --model"),
        ("train iris", 2, "Missing option '--model'"),
        ("train --model m", 2, "Missing argument 'DATA'"),
        ("train iris --model BAD", 2, "a name is 1 to 64 lower-case letters"),
        ("train iris --model m --solver newtn", 2, "solver: "),
        ("train iris --model m --C -1 --tol 5", 2, "C: "),
        ("train iris --model m --promote yes", 2, "promote must be"),
        ("train iris --model m --categorical species", 2, "--categorical is for files"),
        ("train some.csv --model m", 2, "--target is missing"),
        ("train iri --model m", 3, "cannot read iri: no such file or built-in data set (did you mean 'iris'?)"),
        ("train iris --target specis --model m", 3, "iris: there is no column 'specis'"),
        ("train iris --model m --solver gradient-descent --learning-rate 1e300", 7, "gradient descent overflowed"),
        ("train iris --model m --store /dev/null/x", 6, "the directory of the model store cannot be written"),
        ("predict iris --model none", 4, "there is no model 'none'"),
        ("predict iris --model none/0", 2, "a version is a whole number from 1"),
    ],
)
def test_mistake_is_one_line_and_its_code(here: Logitd, arguments: str, code: int, message: str) -> None:
    """Usage, bad data, what is not found, resources and a failed fit have their exit codes; near names are suggested."""
    done = here(*arguments.split())

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_traceback_is_shown_on_demand_only(here: Logitd) -> None:
    """``--debug`` at any place shows where an error was raised; without it there is the one line."""
    plain, debug = here("train", "iris", "--model", "BAD"), here("train", "iris", "--debug", "--model", "BAD")

    assert "Traceback" not in plain.err
    assert debug.err.startswith("Traceback")
    assert debug.err.endswith(plain.err)
    assert plain.code == debug.code == 2


def test_memory_that_is_not_there_is_exit_code_6(folder: Path) -> None:
    """Running out of memory is one line, not a traceback, and nothing is stored."""
    names = [f"x{index}" for index in range(9)]
    rows = [
        ",".join([*(str((row * 7 + index) % 11) for index in range(9)), f"class {row % 1000}"]) for row in range(2000)
    ]
    (folder / "t.csv").write_text("\n".join([",".join([*names, "y"]), *rows]))

    # 10 000 parameters: the Hessian alone takes 800 MB.
    done = logitd(
        *("train", "t.csv", "--target", "y", "--model", "m", "--validation-fraction", "0", "--solver", "newton"),
        folder=folder,
        variables={"OPENBLAS_NUM_THREADS": "1"},
        shell='ulimit -v 1000000; "$@"',
    )

    assert (done.code, done.err) == (6, "error: there is not enough memory for this\n")
    assert [path.name for path in folder.iterdir()] == ["t.csv"]
