"""CSV files as users have them: what each kind of bad file gets, by its code in the examination of input."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from command_line import Logitd, logitd

from service.tabular import table as table_module

HEAD = b"a,b,y\n1,2,0\n"
GOOD = HEAD + b"3,4,1\n5,6,0\n7,9,1\n2,1,1\n"
SPELLING = ":3: column 'b' is one of the usual spellings of a missing value"
INFINITE = ":3: column 'b' is infinite or too large"
NO_NUMBER = ":3: column 'b' is not a number, and others are"
LONG_ROW = HEAD + b'3,"' + b"x\n" * (9 << 20)
# Of a cell: the forms that are no finite number, and how the message goes on after the name of the file.
CELLS = {
    **dict.fromkeys(('"1,5"', "1 000", "1_000", "0x1A", "TRUE", "=1+1", "#REF!", "5%", "٣", "--1", "1e"), NO_NUMBER),
    **dict.fromkeys(("1e400", "-1e400", "inf", "-Infinity"), INFINITE),
    **dict.fromkeys(("nan", "NaN", "NA", "null", "None", "#N/A"), SPELLING),
    **dict.fromkeys(("", '""'), ":3: row 1, column 'b' is missing"),
    " 4": ":3: column 'b' has spaces around its number",
}


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("t.csv", GOOD)
    return archive.getvalue()


# Row and kind, the contents, and how the message of ``train`` goes on after "error: my data.csv".
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "C2 empty": (b"", ": no data rows"),
    "C2 header only": (b"a,b,y\n", ": no data rows"),
    "C2 blank lines": (b"\n\r\n\n", ": no data rows"),
    "C3 no header": (b"1,2,0\n3,4,1\n", ":1: the header row is missing"),
    "C3 no header with text": (b"1,x,0\n3,y,1\n", ": there is no column 'y'"),
    "C3 duplicate": (b"a,a,y\n1,2,0\n", ":1: the header row names 'a' twice"),
    "C3 empty name": (b"a,,y\n1,2,0\n", ":1: column 2 has no name"),
    "C3 control character": (b"a,\x1b[31m,y\n1,2,0\n", ":1: column 2 has a name that is longer than 256 characters or"),
    "C3 two marks": (b"\xef\xbb\xbf" * 2 + HEAD, ":1: column 1 has a name that is longer than 256 characters or"),
    "C4 UTF-16": (HEAD.decode().encode("utf-16"), ":1: the text is UTF-16"),
    "C4 UTF-16 without mark": (HEAD.decode().encode("utf-16-le"), ":1: there is a NUL byte"),
    "C4 not UTF-8": (HEAD + b"1,\xff,0\n", ":3: byte 3 of the line is not UTF-8"),
    "C4 surrogate": (HEAD + b"1,\xed\xa0\x80,0\n", ":3: byte 3 of the line is not UTF-8"),
    "C4 NUL": (HEAD + b"1,\0,0\n", ":3: there is a NUL byte"),
    "C4 lone CR": (b"a,b,y\r1,2,0\r", ":1: there is a carriage return"),
    "C4 CR in a line": (HEAD + b"1,2\r3,0\n", ":3: there is a carriage return"),
    "C5 short row": (HEAD + b"3,4\n", ":3: expected 3 cells, got 2"),
    "C5 long row": (HEAD + b"3,4,5,6\n", ":3: expected 3 cells, got 4"),
    "C5 unclosed quote": (HEAD + b'3,"4,5\n6,7,8\n', ":3: a quote is opened here and never closed"),
    "C5 text after quote": (HEAD + b'3,"4"5,0\n', ":3: a closing quote must be followed by"),
    "C5 long field": (HEAD + b"3," + b"4" * 131_073 + b",0\n", ":3: a field has more than 131072 characters"),
    "C5 quote over lines": (LONG_ROW, ":3: a field has more than 131072 characters"),
    "C5 long line": (HEAD + b"3," * (9 << 20) + b"0\n", ":3: the row is longer than 16777216 bytes"),
    # --sep, decided otherwise: the comma alone is CSV (RFC 4180), so that no file is read in two ways.
    "C6 semicolons": (b"a;b;y\n1;2;0\n", ":1: one column found; the separator is the comma"),
    "C6 semicolons and decimal commas": (b"a;b;y\n1,5;2;0\n", ":1: one column found; the separator is the comma"),
    "C6 tabs": (b"a\tb\ty\n1\t2\t0\n", ":1: one column found; the separator is the comma"),
    "C6 bars": (b"a|b|y\n1|2|0\n", ":1: one column found; the separator is the comma"),
    **{f"C7 {cell!a}": (HEAD + f"3,{cell},1\n5,6,0\n".encode(), message) for cell, message in CELLS.items()},
    "C7 late row": (b"a,b,y\n" + b"x,2,1\n" * 30 + b'"x\ny",4,0\nz,,0\n', ":34: row 31, column 'b' is missing"),
    "C8 no such column": (b"a,b\n1,2\n", ": there is no column 'y'"),
    "C8 only the target": (b"y\n0\n1\n0\n", ": the target is the only column"),
    "C8 constant": (b"a,y\n1,0\n2,0\n3,0\n", ": the target holds 1 class"),
    "C8 all different": (b"a,y\n1,0\n2,1\n3,2\n", ": the target holds 3 classes in 3 rows"),
    "C8 all different texts": (b"a,y\n1,u\n2,v\n3,w\n", ": the target holds 3 classes in 3 rows"),
    "C8 fractions": (b"a,y\n1,0\n2,1.5\n3,0\n", ":3: a target is not a whole number"),
    "C8 missing": (b"a,y\n1,0\n2,\n3,0\n", ":3: row 1 has no target in column 'y'"),
    "C8 mixed": (b"a,y\n1,0\n2,no\n3,0\n", ":3: column 'y' is not a number, and others are"),
    # A quoted "1" is the number 1, decided otherwise: quotes are no type in CSV.  What a number would lose is refused.
    "C8 leading zero": (b"a,y\n1,1\n2,02\n3,1\n", ":3: column 'y' has a leading zero, which the label would lose"),
    "C8 one row": (b"a,y\n1,0\n", ": one row cannot be split"),
    "C10 gzip": (gzip.compress(GOOD, mtime=0), ":1: this is gzip, not CSV"),
    "C10 spreadsheet": (zipped(), ":1: this is a zip archive or a spreadsheet, not CSV"),
    "C10 Parquet": (b"PAR1\x15\x04", ":1: this is Parquet, not CSV"),
}
# A file that cannot be trained on for its target may well be predicted.
FOR_BOTH = [kind for kind in BAD_FILES if not kind.startswith("C8") and kind != "C7 late row"]


@pytest.fixture
def trained(folder: Path, here: Logitd) -> Logitd:
    """The command line with a live model ``good`` of the columns a and b."""
    (folder / "good.csv").write_bytes(GOOD)
    assert here("train", "good.csv", "--target", "y", "--model", "good", "--C", "1").code == 0
    return here


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_one_line_with_file_and_line(folder: Path, here: Logitd, kind: str) -> None:
    """A file that cannot be trained on is exit code 3, one line beginning with its name, and nothing stored."""
    content, message = BAD_FILES[kind]
    (folder / "my data.csv").write_bytes(content)

    done = here("train", "my data.csv", "--target", "y", "--model", "m")

    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert done.err.startswith(f"error: my data.csv{message}")
    assert [path.name for path in folder.iterdir()] == ["my data.csv"]


@pytest.mark.parametrize("kind", FOR_BOTH)
def test_bad_file_is_not_predicted(folder: Path, trained: Logitd, kind: str) -> None:
    """The same files are exit code 3 and one line for a prediction, of which nothing is printed."""
    (folder / "my data.csv").write_bytes(BAD_FILES[kind][0])

    done = trained("predict", "my data.csv", "--model", "good")

    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert done.err.startswith("error: my data.csv:")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD, id="C3 mark"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), id="C4 CRLF"),
        pytest.param(HEAD.replace(b"\n", b"\r\n") + GOOD[len(HEAD) :] + b"\n\r\n", id="C4 mixed line ends"),
        pytest.param(GOOD.replace(b"3,4,1", b'"3","4","1"'), id="C8 quoted numbers"),
        pytest.param(GOOD.replace(b"3,4,1", b"+3,4.,1e0"), id="C7 other spellings of numbers"),
    ],
)
def test_usual_files_are_read(folder: Path, here: Logitd, content: bytes) -> None:
    """What spreadsheets and programs write is no mistake, and means the same."""
    (folder / "t.csv").write_bytes(content)
    (folder / "plain.csv").write_bytes(GOOD)

    done, plain = (here("train", name, "--target", "y", "--model", "m", "--json") for name in ("t.csv", "plain.csv"))

    assert (done.code, done.err) == (plain.code, plain.err) == (0, "")
    assert done.json()["coefficients"] == plain.json()["coefficients"]


@pytest.mark.parametrize("command", ["train", "predict"])
def test_what_is_no_file_is_refused_at_once(folder: Path, trained: Logitd, command: str) -> None:
    """C1: missing, a directory, a pipe without a writer, endless, unreadable or misnamed: exit code 3, cannot read."""
    (folder / "d.csv").mkdir()
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "memory.csv").symlink_to("/proc/self/mem")
    (folder / "packed.csv.gz").write_bytes(gzip.compress(GOOD))
    os.mkfifo(folder / "p.csv")
    rest = ("--target", "y", "--model", "m") if command == "train" else ("--model", "good")
    reasons = {
        **dict.fromkeys(("none.csv", "none*.csv", "x/none.csv"), "no such file or directory"),
        "d.csv": "it is a directory",
        **dict.fromkeys(("p.csv", "zero.csv", "/dev/zero"), "it is not a regular file (a pipe is read as -)"),
        "loop.csv": "too many levels of symbolic links",
        "memory.csv": "input/output error",
        "x" * 300 + ".csv": "file name too long",
        # C10: packed files are not unpacked: how large they become is for the one who does it.
        "packed.csv.gz": "(unpack CSV on the way: gzip -dc FILE | logitd … -)",
    }

    for name, reason in reasons.items():
        done = trained(command, name, *rest)

        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1), name
        assert done.err.startswith("error: cannot read ")
        assert reason in done.err


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads whatever is there")
def test_a_file_without_permission(folder: Path, trained: Logitd) -> None:
    """C1: a file that this user may not read is exit code 3, cannot read."""
    (folder / "secret.csv").write_bytes(GOOD)
    (folder / "secret.csv").chmod(0)
    dropped = "--bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search"
    shell = f'exec setpriv {dropped} "$@"' if os.geteuid() == 0 else '"$@"'

    for command in (("train", "--target", "y", "--model", "m"), ("predict", "--model", "good")):
        done = logitd(command[0], "secret.csv", *command[1:], folder=folder, shell=shell)

        assert (done.code, done.out) == (3, "")
        assert done.err == "error: cannot read 'secret.csv': permission denied\n"


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ('"$@" <&-', "cannot read stdin: it is closed"),
        ('"$@" </dev/zero', "stdin:1: there is a NUL byte"),
        ('yes , | "$@"', "stdin:1: column 1 has no name in the header row"),
        ('(echo a,b,y; yes \'"\') | "$@"', "stdin:2: expected 3 cells, got 1"),
        ("(echo a,b,y; yes 'x\"' | tr -d '\\n') | \"$@\"", "stdin:2: the row is longer than 16777216 bytes"),
    ],
    ids=["closed", "zeros", "commas", "quotes", "one line"],
)
def test_standard_input_that_is_none(folder: Path, trained: Logitd, shell: str, message: str) -> None:
    """C1, C5: a closed or an endless standard input ends soon with exit code 3, in bounded memory."""
    for command in (("train", "--target", "y", "--model", "m"), ("predict", "--model", "good")):
        done = logitd(command[0], "-", *command[1:], folder=folder, shell=f"ulimit -d 1000000; {shell}")

        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
        assert done.err.startswith(f"error: {message}")


def test_many_rows_in_little_memory(folder: Path, trained: Logitd) -> None:
    """C9: rows that would take far more as text are predicted within 200 MiB; of fits, see test_cli_train_large.py."""
    n_rows = 250_000
    (folder / "long.csv").write_text("a,b,y\n" + "".join(f"{row % 97}.25,{row % 89}.5,1\n" for row in range(n_rows)))

    shell = 'set -o pipefail; ulimit -d 204800; "$@" | wc -l'
    done = logitd("predict", "long.csv", "--model", "good", folder=folder, shell=shell)

    assert (done.code, done.out.strip()) == (0, str(n_rows + 1))
    assert done.err == "left out, not columns of the model: 'y'\n"


def test_a_row_of_a_later_block_is_found(folder: Path, trained: Logitd, monkeypatch: pytest.MonkeyPatch) -> None:
    """C7: rows are read some at a time; the row and its line are counted over all of them."""
    monkeypatch.setattr(table_module, "BLOCK_CELLS", 4)
    (folder / "t.csv").write_bytes(b"a,b\n" + b"1,2\n" * 5 + b"\n1,\n")

    done = trained("predict", "t.csv", "--model", "good")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: t.csv:8: row 5, column 'b' is missing")


def test_a_full_disk_stores_nothing(folder: Path, trained: Logitd) -> None:
    """C11: where predictions have no room to wait, or output has no room to go, that is told, and nothing half done."""
    (folder / "long.csv").write_bytes(b"a,b\n" + b"1,2\n" * 150_000)

    waiting = logitd("predict", "long.csv", "--model", "good", folder=folder, shell='ulimit -f 1024; "$@"')
    going = logitd("predict", "good.csv", "--model", "good", folder=folder, shell='"$@" >/dev/full')

    assert (waiting.code, waiting.out) == (6, "")
    assert waiting.err.startswith("error: the rows do not fit into memory, and not into a temporary file in ")
    assert going.code == 1
    assert going.err == "error: the output cannot be written: No space left on device\n"


def test_a_reader_that_leaves_is_no_error(folder: Path, trained: Logitd) -> None:
    """C11: ``| head -1`` gets its line, and nothing is said."""
    (folder / "long.csv").write_bytes(b"a,b\n" + b"1,2\n" * 50_000)

    done = logitd("predict", "long.csv", "--model", "good", folder=folder, shell='set -o pipefail; "$@" | head -1')

    assert (done.code, done.out, done.err) == (0, "prediction,p(0),p(1)\n", "")


@pytest.mark.parametrize("redirection", [">good.csv", ">>good.csv"])
def test_output_is_not_the_input(folder: Path, trained: Logitd, redirection: str) -> None:
    """C11: predictions are not written into the file that they are of: exit code 2.

    There is no option for an output file, and so none for overwriting one: that is the shell's (``set -o noclobber``).
    """
    done = logitd("predict", "good.csv", "--model", "good", folder=folder, shell=f'"$@" {redirection}')

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: standard output is good.csv, the file to be read")
    assert (folder / "good.csv").read_bytes() in {GOOD, b""}


def test_labels_may_be_made_safe_for_spreadsheets(folder: Path, here: Logitd) -> None:
    """C12: with ``--excel-safe`` no label begins a formula; without it labels are exactly those of the model."""
    labels = ["=1+1", "+x", "-x", "@x", "x"]
    (folder / "t.csv").write_text("a,y\n" + "".join(f'{row},"{labels[row % 5]}"\n' for row in range(40)))
    here("train", "t.csv", "--target", "y", "--model", "m", "--promote", "always", "--C", "1e6")

    plain, safe = (here("predict", "t.csv", "--model", "m", *flags) for flags in ((), ("--excel-safe",)))

    plainly, safely = (list(csv.reader(io.StringIO(done.out))) for done in (plain, safe))
    assert {cell[2:-1] for cell in plainly[0][1:]} == set(labels)
    assert [[cell.replace("'", "") for cell in row] for row in safely] == plainly
    predicted = {row[0] for row in safely[1:]}
    assert not any(label.startswith(("=", "+", "-", "@")) for label in predicted)
    assert {label.lstrip("'") for label in predicted} == {row[0] for row in plainly[1:]}
