"""Tables from CSV: kinds, missing cells, and the line and column of every mistake."""

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.errors import (
    EmptyInput,
    FeatureCount,
    InvalidCsv,
    MissingFeature,
    NonFinite,
    ServiceError,
    TooManyCells,
    TooManyFeatures,
    TooManyRows,
    UnknownFeature,
    WrongType,
)
from service.tabular import table as table_module
from service.tabular.csv_reader import csv_table, read_csv
from service.tabular.csv_text import MAX_RECORD_BYTES
from service.tabular.limits import Limits
from service.tabular.schema import CategoricalFeature, NumericFeature, Schema

LIMITS = Limits(max_rows=4, max_features=5, max_cells=10)
SCHEMA = Schema(
    features=(
        NumericFeature(name="a", mean=0.0, minimum=0.0, maximum=1.0),
        CategoricalFeature(name="sex", categories=("f", "m"), frequencies=(0.5, 0.5)),
        NumericFeature(name="b", mean=0.0, minimum=0.0, maximum=1.0),
    ),
    missing_values=("?",),
)

REFUSED: list[tuple[bytes, type[ServiceError], str]] = [
    (b"", EmptyInput, "no data rows"),
    (b"\n\r\n\n", EmptyInput, "no data rows"),
    (b"a,b\n", EmptyInput, "no data rows"),
    (b"a,b\n1,2\n3\n", InvalidCsv, "line 3: expected 2 cells, got 1"),
    (b"a,b\n1,2,3\n", InvalidCsv, "line 2: expected 2 cells, got 3"),
    (b'a,b\n1,2\n\n1,"2\n3,4\n', InvalidCsv, "line 4: a quote is opened here and never closed"),
    (b'a,b\n1,"2"3\n', InvalidCsv, "line 2: a closing quote"),
    (b"a,b\n1,\0\n", InvalidCsv, "line 2: there is a NUL byte"),
    (b"a,b\n1,\xff\n", InvalidCsv, "line 2: byte 3 of the line is not UTF-8"),
    ("a,b\n1,2\n".encode("utf-16"), InvalidCsv, "line 1: the text is UTF-16"),
    ("a,b\n1,2\n".encode("utf-16-be"), InvalidCsv, "line 1: there is a NUL byte"),
    (b"a,b\r1,2\r", InvalidCsv, "line 1: there is a carriage return"),
    (b"a,b\r\n1,2\r\r\n", InvalidCsv, "line 2: there is a carriage return"),
    (b"a,b\n1,2\rx", InvalidCsv, "line 2: there is a carriage return"),
    (b"a,b,a\n1,2,3\n", InvalidCsv, "line 1: the header row names 'a' twice"),
    (b"a,,b\n1,2,3\n", InvalidCsv, "line 1: column 2 has no name"),
    (b"a,\x07\n1,2\n", InvalidCsv, "line 1: column 2 has a name"),
    (b"1.5,2\n3,4\n", InvalidCsv, "line 1: the header row is missing"),
    (b"a;b\n1;2\n", InvalidCsv, "line 1: one column found; the separator is the comma"),
    (b"a\tb\n1\t2\n", InvalidCsv, "line 1: one column found; the separator is the comma"),
    (b"a,b\n1,\n2,\n", InvalidCsv, "column 'b' has no value"),
    (b'a\n"' + b"x" * 200_000 + b'"\n', InvalidCsv, "line 2: a field has more than 131072 characters"),
    (b"a\n" + b"1" * (MAX_RECORD_BYTES + 1), InvalidCsv, "line 2: the row is longer"),
    (b"a\n" + b'"1\n",' * (MAX_RECORD_BYTES // 5 + 1), InvalidCsv, "line 2: the row is longer"),
]

# As one cell of a column whose other cells are numbers.
NOT_NUMBERS = ["x", "1 000", "1_000", "0x1A", "TRUE", "=1+1", "#REF!", "1e", ".", "٣", "1,5", "--1", "1e400", "-inf"]
DOUBTFUL = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A", "inf", "-Infinity", "1e400", " 2", "2 "]


@pytest.mark.parametrize(("text", "error", "message"), REFUSED, ids=[str(index) for index in range(len(REFUSED))])
def test_file_is_refused_with_its_line(text: bytes, error: type[ServiceError], message: str) -> None:
    """What is not CSV with a header row is refused, and the message begins with the line."""
    with pytest.raises(error, match="^" + re.escape(message)) as caught:
        read_csv(text)

    assert type(caught.value) is error


@pytest.mark.parametrize("cell", NOT_NUMBERS)
def test_cell_among_numbers_must_be_a_number(cell: str) -> None:
    """A column of numbers with one other cell is refused; the message has line, column and remedy, not the cell."""
    with pytest.raises(InvalidCsv, match=r"^t\.csv:4: column 'size' ") as caught:
        read_csv(f'name,size\nu,1\n\nv,"{cell}"\n'.encode(), name="t.csv")

    assert caught.value.hint is not None
    assert "--missing-values" in caught.value.hint
    assert "--categorical 'size'" in caught.value.hint
    assert cell in {"x", ".", "1e"} or cell not in caught.value.detail


@pytest.mark.parametrize("cell", DOUBTFUL)
def test_doubtful_cell_among_text_must_be_declared(cell: str) -> None:
    """A spelling of missing or infinite is refused in a text column, unless it is declared as either."""
    text = f"name\nu\n{cell}\n".encode()

    with pytest.raises(InvalidCsv, match=r"^line 3: column 'name' "):
        read_csv(text)

    assert read_csv(text, missing_values=[cell]).column("name").tolist() == ["u", None]
    assert read_csv(text, categorical=["name"]).column("name").tolist() == ["u", cell]


def test_number_among_text_is_refused_in_a_later_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of a column holds over all blocks of rows, in both directions and after missing cells."""
    monkeypatch.setattr(table_module, "BLOCK_CELLS", 2)

    with pytest.raises(InvalidCsv, match=r"^line 4: column 't' is a number among text"):
        read_csv(b"t\nu\nv\n1\n2\n")
    with pytest.raises(InvalidCsv, match=r"^line 4: column 't' is not a number, and others are"):
        read_csv(b"t\n1\n2\nu\n")
    late = read_csv(b"n,t,k\n1,,a\n2,,b\n3,x,\n4,y,\n")
    assert [column.tolist() for column in late.columns] == [
        [1.0, 2.0, 3.0, 4.0],
        [None, None, "x", "y"],
        ["a", "b", None, None],
    ]


def test_byte_order_mark_line_ends_and_blank_lines_do_not_matter() -> None:
    """A byte order mark is stripped, CRLF and LF mix, blank lines are skipped, the last line end is optional."""
    table = read_csv(b'\xef\xbb\xbfa,"b ""q"""\r\n\r\n1,"x\ny"\n\n2,z')

    assert table.names == ("a", 'b "q"')
    assert [column.tolist() for column in table.columns] == [[1.0, 2.0], ["x\ny", "z"]]


def test_missing_values_may_be_numbers() -> None:
    """A declared word is missing in every column, also when it looks like a number."""
    table = read_csv(b"a,b\n-9,x\n1,-9\n2,y\n", missing_values=["-9"])

    np.testing.assert_array_equal(table.column("a"), [np.nan, 1.0, 2.0])
    assert table.column("b").tolist() == ["x", None, "y"]


def test_categorical_columns_are_text() -> None:
    """A declared column keeps its digits as text; a name that is not a column has the nearest one as hint."""
    table = read_csv(b"zip,n\n01234,1\n,2\n", categorical=["zip"])
    with pytest.raises(UnknownFeature) as caught:
        read_csv(b"zip,n\n01234,1\n", categorical=["zipp"])

    assert table.column("zip").tolist() == ["01234", None]
    assert caught.value.hint == "did you mean 'zip'?"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"a\n" + b"1\n" * 5, TooManyRows),
        (b"a,b,c,d,e,f\n1,2,3,4,5,6\n", TooManyFeatures),
        (b"a,b,c\n" + b"1,2,3\n" * 4, TooManyCells),
    ],
)
def test_training_upload_has_limits(text: bytes, error: type[ServiceError]) -> None:
    """A table beyond a limit is refused."""
    with pytest.raises(error):
        read_csv(text, limits=LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        b"a,sex,b\n1,f,\n?,?,2\n",
        b"b,a,sex\n,1,f\n2,?,?\n",
        b"1,f,\n?,?,2\n",
        b"\xef\xbb\xbf1,f,?\r\n,,2",
    ],
)
def test_request_with_or_without_header_is_the_same_table(body: bytes) -> None:
    """The header row may be in any order or left out; the schema's words are missing cells."""
    table = csv_table(body, SCHEMA, LIMITS)

    np.testing.assert_array_equal(table.column("a"), [1.0, np.nan])
    assert table.column("sex").tolist() == ["f", None]
    np.testing.assert_array_equal(table.column("b"), [np.nan, 2.0])


@pytest.mark.parametrize(
    ("body", "error", "pointers"),
    [
        (b"", EmptyInput, []),
        (b"a,sex,b\n", EmptyInput, []),
        (b"a,sex,B\n1,f,2\n", UnknownFeature, [""]),
        (b"a,sex\n1,f\n", MissingFeature, [""]),
        (b"a,sex,b,a\n1,f,2,3\n", InvalidCsv, []),
        (b"a;sex;b\n1;f;2\n", InvalidCsv, []),
        (b"1,f\n", FeatureCount, ["/instances/0"]),
        (b"1,f,2,3\n", FeatureCount, ["/instances/0"]),
        (b"1,f,2\n1,f\n", InvalidCsv, []),
        (b"1,f,2\n1,f,x\n", WrongType, ["/instances/1/2"]),
        (b"b,sex,a\n1,f,nan\n", WrongType, ["/instances/0/0"]),
        (b"1,f,x\n", WrongType, ["/instances/0/2"]),
        (b"1,f,1e400\n", NonFinite, ["/instances/0/2"]),
        (b"1,f,2\n1,f,3\n-inf,f,2\n", NonFinite, ["/instances/2/0"]),
        (b"1,f,2\n" * 5, TooManyRows, []),
        (b"1,f,2\n" * 4, TooManyCells, []),
    ],
)
def test_request_mistake_has_its_class_and_pointer(body: bytes, error: type[ServiceError], pointers: list[str]) -> None:
    """A body that does not fit the schema is refused by class, cells with row and column."""
    with pytest.raises(error) as caught:
        csv_table(body, SCHEMA, LIMITS)

    assert type(caught.value) is error
    assert [place.pointer for place in caught.value.errors] == pointers


def test_request_of_text_columns_alone_needs_no_header() -> None:
    """Without numeric columns a first row that is not the header is data."""
    schema = Schema(features=SCHEMA.features[1:2])

    headerless = csv_table(b"f\nm\n", schema, LIMITS)

    assert headerless.column("sex").tolist() == ["f", "m"]


@given(
    st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text('ab,"\n é')), min_size=1, max_size=5)
)
def test_written_numbers_are_read_bit_for_bit(rows: list[tuple[float, str]]) -> None:
    """CSV written with ``repr`` gives the same doubles and texts again; the empty text is a missing cell."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("n", "t"), ("0.0", "x"), *((repr(number), text) for number, text in rows)])

    table = read_csv(stream.getvalue().encode())

    assert table.column("n").tobytes() == np.array([0.0, *(number for number, _ in rows)]).tobytes()
    assert table.column("t").tolist() == ["x", *(text or None for _, text in rows)]
